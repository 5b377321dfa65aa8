#!/usr/bin/python3
"""The judge of chaos runs finds each kind of broken promise, in a history that has just that one."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "chaos"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import check_history  # noqa: E402
from sluice_test import case, check, equal, main  # noqa: E402

# A task, a cancelled one, an expired one, one that wore out its attempts, a join of two.
SUBMITTER = """
submit 100 a quick 3 0
end 120 a done 2 - right
submit 100 b cancel 3 0
cancel 150 b
end 160 b cancelled 1 cancelled -
submit 100 c short 3 50
end 150 c expired 0 expired -
submit 100 d slow 2 0
end 190 d failed 2 worker_lost -
submit 200 m1 member_quick 3 0
member j m1
submit 200 m2 member_fail 3 0
member j m2
submit 200 j join_all 1 0
end 210 m1 cancelled 0 cancelled -
end 210 m2 failed 1 chaos_fails -
end 210 j failed 0 dependency_failed -
"""
WORKER = """
start 110 a 1
start 115 a 2
start 110 b 1
start 120 d 1
start 130 d 2
start 205 m2 1
start 111 child 1
"""
DIRECTOR = """
kill_worker 112 3
"""


def judge(submitter=SUBMITTER, worker=WORKER, director=DIRECTOR):
    history = check_history.History()
    history.read_submitter(submitter.split("\n")[1:-1])
    history.read_worker(worker.split("\n")[1:-1])
    history.read_director(director.split("\n")[1:-1])
    return check_history.broken(history)


def finds(id_, text, **histories):
    """With these histories just the task `id_` is broken, and the reason says `text`."""
    found = judge(**histories)
    equal(list(found), [id_], "broken tasks")
    check(any(text in why for why in found[id_]), "%s: %s" % (id_, found[id_]))


def submitter(old, new):
    check(old in SUBMITTER, "no such line: " + old)
    return SUBMITTER.replace(old, new)


def worker(old, new):
    check(old in WORKER, "no such line: " + old)
    return WORKER.replace(old, new)


@case("a history without fault passes")
def _():
    equal(judge(), {})


@case("lost, twice, never submitted")
def _():
    line = "end 120 a done 2 - right\n"
    finds("a", "lost", submitter=submitter(line, ""))
    finds("a", "2 outcomes", submitter=submitter(line, line + line))
    finds("z", "submitted 0 times", submitter=SUBMITTER + "end 120 z done 1 - right\n")
    finds("a", "submitted 2 times", submitter=SUBMITTER + "submit 100 a quick 3 0\n")
    finds("a", "ended pending", submitter=submitter("a done 2 - right", "a pending 2 - -"))


@case("wrong and missing answers")
def _():
    finds("a", "wrong", submitter=submitter("a done 2 - right", "a done 2 - wrong"))
    finds("a", "an answer that is -", submitter=submitter("a done 2 - right", "a done 2 - -"))


@case("attempts beyond the allowed, never started, started twice")
def _():
    finds("a", "of 1 allowed", submitter=submitter("a quick 3 0", "a quick 1 0"))
    finds("d", "attempt 3, of 2 allowed", worker=WORKER + "start 140 d 3\n")
    finds("a", "no worker started", worker=worker("start 115 a 2\n", ""))
    twice = WORKER + "start 116 a 2\n"
    finds("a", "2 times in 1 lives", worker=twice)
    equal(judge(worker=twice, director="\nkill_broker 115\n"), {})
    finds("a", "2 times in 1 lives", worker=twice, director="\nkill_broker 99\n")


@case("cancelled, expired, failed and refused without a reason")
def _():
    finds("b", "nobody asked", submitter=submitter("cancel 150 b\n", ""))
    finds("c", "without a deadline", submitter=submitter("c short 3 50", "c short 3 0"))
    finds("c", "expired after 50 ms of 52", submitter=submitter("c short 3 50", "c short 3 52"))
    finds("d", "after attempt 2 of 3", submitter=submitter("d slow 2 0", "d slow 3 0"))
    finds("d", "failed no_answer", submitter=submitter("2 worker_lost", "2 no_answer"))
    finds("d", "failed chaos_fails", submitter=submitter("2 worker_lost", "2 chaos_fails"))
    finds("d", "refused", submitter=submitter("d failed 2 worker_lost", "d refused 0 queue_full"))


@case("joins that end otherwise than their members")
def _():
    done = submitter("m1 cancelled 0 cancelled -", "m1 done 1 - right").replace(
        "m2 failed 1 chaos_fails -", "m2 done 1 - right")
    finds("j", "its members done done", submitter=done, worker=WORKER + "start 204 m1 1\n")
    finds("j", "settled, and yet", submitter=done.replace("join_all", "join_settled"),
          worker=WORKER + "start 204 m1 1\n")
    finds("j", "a member twice", submitter=SUBMITTER + "member j m2\n")


main()
