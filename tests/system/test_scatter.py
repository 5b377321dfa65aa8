#!/usr/bin/python3
"""A submit to all workers: each gets it, by the command line and by the C runtime."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import Broker, Peer, Process, case, equal, main, program


def submit(broker, *more):
    return Process([program("sluice"), "submit", "echo", '{"reload": true}', "--all-workers",
                    "--broker", broker.endpoint, *more])


@case("each worker gets it, and each answer is told")
def _():
    with Broker() as broker, Peer(broker, "one") as one, Peer(broker, "two") as two:
        one.offer("echo", 1)
        two.offer("echo", 1)
        with submit(broker) as asking:
            one.done(one.task())
            two.serve_one()
            equal(asking.wait_exit(), 0)
            lines = [json.loads(line) for line in asking.output().splitlines() if line[:1] == "{"]
            equal(sorted(line["worker"] for line in lines), ["one", "two"])
            equal({line["outcome"] for line in lines}, {"done"})


@case("one that fails and one that dies are told as such, and the exit status says it")
def _():
    with Broker() as broker, Peer(broker, "one") as one, Peer(broker, "two") as two:
        three = Peer(broker, "three").__enter__()
        for worker in (one, two, three):
            worker.offer("echo", 1)
        with submit(broker, "--json") as asking:
            one.serve_one()
            two.fail(two.task(), "broken", "cannot")
            three.task()
            three.bye()
            equal(asking.wait_exit(), 1)
            told = json.loads(next(line for line in asking.output().splitlines()
                                   if line[:1] == "{"))
            equal(told["outcome"], "done")
            equal({part["worker"]: (part["outcome"], part.get("error", {}).get("code"))
                   for part in told["result"]},
                  {"one": ("done", None), "two": ("failed", "broken"),
                   "three": ("failed", "worker_lost")})


@case("a busy worker's part waits for it, and the deadline ends it with those that answered")
def _():
    with Broker() as broker, Peer(broker, "one") as one, Peer(broker, "two") as two, \
            Peer(broker, "asker") as asker:
        one.offer("echo", 1)
        mine = asker.submit("echo", b"busy")
        held = one.task()
        two.offer("echo", 1)
        with submit(broker, "--deadline-ms", "300", "--json") as asking:
            two.serve_one()
            equal(asking.wait_exit(), 1)
            told = json.loads(next(line for line in asking.output().splitlines()
                                   if line[:1] == "{"))
            equal([part["outcome"] for part in told["result"]], ["expired", "done"])
        one.done(held)
        equal(asker.result(mine).outcome, "done")


main()
