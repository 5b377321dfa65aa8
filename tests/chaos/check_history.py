#!/usr/bin/python3
"""Judges the history of a chaos run: what submitters saw against what the broker promises.

    check_history.py DIRECTORY

DIRECTORY holds submitter-*.history, worker-*.history (their lines: chaos_submitter.c,
chaos_worker.c) and director.history (`FAULT TIME DETAIL...`). It prints what it counted, each
broken promise, and last `N ok` or `N ok, M broken`, N and M being tasks. Exit status 1 if one
is broken.

The promises: every task that was submitted has exactly one outcome, and nothing else has; a done
task has the right answer, from an attempt that a worker did start; no attempt beyond the
allowed; an attempt is started once, as long as the broker remembers the task; cancelled only
what somebody cancelled, expired only what had a deadline, failed only with a reason that its
kind of task has; a join has ended when and as its members allow.
"""
import collections
import glob
import os
import sys

OUTCOMES = ("done", "failed", "cancelled", "expired", "refused")
# What may make the broker count a task's attempts anew: it forgets all, or the
# submitter has been away for too long.
FORGETTING = ("kill_broker", "stop_submitter", "half_open", "cut")
WORN_OUT = ("worker_lost", "lease_expired")  # failures that need the last attempt


class Task:
    """What the histories say about one id."""

    def __init__(self, id_):
        self.id = id_
        self.submits, self.ends, self.cancels = [], [], []
        self.starts = collections.Counter()  # attempt: how often handlers were started
        self.last_start = 0
        self.members, self.join = [], None

    kind = property(lambda self: self.submits[0][1] if self.submits else "unknown")
    submitted_at = property(lambda self: self.submits[0][0])
    attempts = property(lambda self: self.submits[0][2])
    deadline_ms = property(lambda self: self.submits[0][3])
    outcome = property(lambda self: self.ends[0][1])
    ended_at = property(lambda self: self.ends[0][0])
    attempt = property(lambda self: self.ends[0][2])
    code = property(lambda self: self.ends[0][3])
    answer = property(lambda self: self.ends[0][4])


class History:
    def __init__(self):
        self.tasks, self.faults = {}, collections.defaultdict(list)
        self.child_starts = 0

    def task(self, id_):
        if id_ not in self.tasks:
            self.tasks[id_] = Task(id_)
        return self.tasks[id_]

    def read_submitter(self, lines):
        for line in lines:
            verb, *words = line.split()
            if verb == "submit":
                at, id_, kind, attempts, deadline_ms = words
                self.task(id_).submits.append((int(at), kind, int(attempts), int(deadline_ms)))
            elif verb == "end":
                at, id_, outcome, attempt, code, answer = words
                self.task(id_).ends.append((int(at), outcome, int(attempt), code, answer))
            elif verb == "cancel":
                self.task(words[1]).cancels.append(int(words[0]))
            elif verb == "member":
                join, member = words
                self.task(join).members.append(member)
                self.task(member).join = join
            else:
                raise ValueError("no such event: " + line)

    def read_worker(self, lines):
        """After the submitters': starts of ids that nobody submitted are children's."""
        for line in lines:
            verb, at, id_, attempt = line.split()
            if verb != "start":
                raise ValueError("no such event: " + line)
            if id_ not in self.tasks:
                self.child_starts += 1
                continue
            task = self.tasks[id_]
            task.starts[int(attempt)] += 1
            task.last_start = max(task.last_start, int(at))

    def read_director(self, lines):
        for line in lines:
            verb, at, *_ = line.split()
            self.faults[verb].append(int(at))


def read(directory):
    history = History()
    for prefix, take in (("submitter-", history.read_submitter),
                         ("worker-", history.read_worker),
                         ("director", history.read_director)):
        for path in sorted(glob.glob(os.path.join(directory, prefix + "*.history"))):
            with open(path) as file:
                take(file)
    return history


# ------------------------------------------------------------------ promises
# Each takes a task with one submission and one end, and yields what is broken.

def answer_is_right(task, history):
    if task.outcome == "done" and not task.members:
        if task.answer != "right" and not task.kind.startswith("join"):
            yield "done, with an answer that is %s" % task.answer
    elif task.outcome != "done" and task.answer != "-":
        yield "%s, and yet an answer" % task.outcome


def attempts_are_allowed(task, history):
    worst = max([task.attempt, *task.starts])
    if worst > task.attempts:
        yield "attempt %d, of %d allowed" % (worst, task.attempts)


def done_was_started(task, history):
    if task.outcome == "done" and not task.kind.startswith("join"):
        if not task.starts[task.attempt]:
            yield "done in attempt %d, which no worker started" % task.attempt


def attempt_starts_once(task, history):
    lives = 1 + sum(task.submitted_at <= at <= task.last_start
                    for fault in FORGETTING for at in history.faults.get(fault, ()))
    for attempt, count in task.starts.items():
        if count > lives:
            yield "attempt %d started %d times in %d lives" % (attempt, count, lives)


def cancelled_when_asked(task, history):
    if task.outcome == "cancelled" and not task.cancels:
        join = history.tasks.get(task.join)
        if join is None or join.kind != "join_all" or not join.ends or join.outcome == "done":
            yield "cancelled, and nobody asked"


def expired_when_due(task, history):
    if task.outcome != "expired":
        return
    if not task.deadline_ms:
        yield "expired without a deadline"
    # Each side counts whole milliseconds of its clock: one may be missing.
    elif task.ended_at - task.submitted_at < task.deadline_ms - 1:
        yield "expired after %d ms of %d" % (task.ended_at - task.submitted_at, task.deadline_ms)


def failed_with_reason(task, history):
    if task.outcome == "refused":
        yield "refused %s" % task.code
    if task.outcome != "failed":
        return
    kind = task.kind.removeprefix("member_")
    if task.code in WORN_OUT or task.code == "child_failed" and kind == "tree":
        if task.attempt != task.attempts:
            yield "%s after attempt %d of %d" % (task.code, task.attempt, task.attempts)
    elif not (task.code == "chaos_fails" and kind == "fail" or
              task.code == "dependency_failed" and kind == "join_all"):
        yield "failed %s" % task.code


def join_ends_as_members_allow(task, history):
    if not task.kind.startswith("join"):
        return
    if len(set(task.members)) != len(task.members):
        yield "a member twice"
    ends = [history.tasks[m].outcome for m in task.members if len(history.tasks[m].ends) == 1]
    if len(ends) != len(task.members):
        yield "%d of %d members ended once" % (len(ends), len(task.members))
    elif task.kind == "join_settled" and task.outcome != "done":
        yield "settled, and yet %s %s" % (task.outcome, task.code)
    elif task.kind == "join_all" and (task.outcome == "done") != (set(ends) == {"done"}):
        yield "%s, its members %s" % (task.outcome, " ".join(ends))


PROMISES = (answer_is_right, attempts_are_allowed, done_was_started, attempt_starts_once,
            cancelled_when_asked, expired_when_due, failed_with_reason,
            join_ends_as_members_allow)


def one_outcome(task):
    if len(task.submits) != 1:
        yield "submitted %d times" % len(task.submits)
    if len(task.ends) != 1:
        yield "lost: it has no outcome" if not task.ends else "%d outcomes" % len(task.ends)
    elif task.outcome not in OUTCOMES:
        yield "ended %s" % task.outcome


def broken(history):
    """{id: [what is broken]}"""
    found = {}
    for task in history.tasks.values():
        wrong = list(one_outcome(task))
        if not wrong:
            for promise in PROMISES:
                wrong += promise(task, history)
        if wrong:
            found[task.id] = wrong
    return found


# -------------------------------------------------------------------- report

def report(history, found, prefix=""):
    """Prints the counts and what is broken; `prefix` goes before each line."""
    def say(text):
        print(prefix + text, flush=True)

    tasks = history.tasks.values()
    ends = [end for task in tasks for end in task.ends]
    for title, things in (("faults", [f for f, at in history.faults.items() for _ in at]),
                          ("tasks", [task.kind for task in tasks]),
                          ("outcomes", [end[1] for end in ends]),
                          ("codes", [end[3] for end in ends if end[3] != "-"])):
        counts = sorted(collections.Counter(things).items())
        say("%-9s %s" % (title, "  ".join("%s %d" % count for count in counts)))
    say("%-9s %d of tasks, %d of children; %d tasks ended in a later attempt than the first" %
        ("starts", sum(sum(task.starts.values()) for task in tasks), history.child_starts,
         sum(end[2] > 1 for end in ends)))
    for id_, wrong in sorted(found.items())[:20]:
        say("broken: %s (%s): %s" % (id_, history.tasks[id_].kind, "; ".join(wrong)))
    say("%d ok" % (len(tasks) - len(found)) + (", %d broken" % len(found) if found else ""))


def main(arguments):
    if len(arguments) != 1 or not os.path.isdir(arguments[0]):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    history = read(arguments[0])
    found = broken(history)
    report(history, found)
    return 1 if found or not history.tasks else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
