#!/usr/bin/python3
"""Joins by the C runtime and real processes: what is decided, what is kept, and that what has lost
has stopped. The peers are tests/system/join_cases.c; `gate` is served here."""
import contextlib
import json
import os
import subprocess
import sys

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import BUILD, Broker, Peer, Process  # noqa: E402
from sluice_test import case, check, equal, main, program  # noqa: E402

CASES = os.path.join(BUILD, "tests", "system", "join_cases")
LAST = 99  # the gate that the submitter waits at when it has seen everything


class Scene:
    """A broker, a worker that races, one submitter, and the gate."""

    def __init__(self, stack, name):
        enter = stack.enter_context
        self.broker = enter(Broker("--log-level", "debug"))
        self.gate = enter(Peer(self.broker, "gate"))
        self.gate.offer("gate", 16)
        self.worker = enter(Process([CASES, self.broker.endpoint, "worker"]))
        self.broker.wait_line("service_offered service=reduce")
        self.submitter = enter(Process([CASES, self.broker.endpoint, name]))
        self.waiting = {}

    def task(self, n):
        """The TASK of gate `n`; others stay for later."""
        while n not in self.waiting:
            task = self.gate.task()
            self.waiting[msgpack.unpackb(task[4])["n"]] = task
        return self.waiting.pop(n)

    def done(self, n):
        self.gate.done(self.task(n), msgpack.packb(n))
        self.gate.ping()

    def fail(self, n):
        self.gate.fail(self.task(n), "sorry")
        self.gate.ping()

    def started(self, *numbers):
        for n in numbers:
            self.worker.wait_line("started %d" % n)

    def undecided(self, running):
        """So many tasks run, none has been told to stop, and the join waits."""
        self.broker.wait_line(" to=waiting")  # it came after all of its needs
        stats = self.stats()
        equal((stats["waiting"], stats["leased"], stats["cancelling"], stats["cancelled"]),
              (1, running, 0, 0), "waiting, running, told to stop, stopped")

    def finish(self, *losers, skipped=0):
        """The join is decided; its losers have stopped, and the broker knows, while the submitter
        lives on; nothing else runs."""
        said = -1
        self.submitter.wait_line("decided")
        for n in losers:
            self.worker.wait_line("stopped %d" % n)
            line = self.broker.wait_line(" from=cancelling to=cancelled", after=said + 1)
            said = self.broker.output().split("\n").index(line, said + 1)
        last = self.task(LAST)
        stats = self.stats()
        equal((stats["tasks"], stats["leased"], stats["cancelled"]), (1, 1, len(losers) + skipped),
              "tasks, and of them run: the last gate; cancelled")
        self.gate.done(last, msgpack.packb(LAST))
        equal(self.submitter.wait_exit(), 0, "exit status of the submitter")

    def stats(self):
        """As `sluice stats` shows them."""
        out = subprocess.run([program("sluice"), "stats", "--json", "--broker",
                              self.broker.endpoint], timeout=30, stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, check=True).stdout
        return json.loads(out)


def scene(name, title):
    def register(function):
        @case(title)
        def _():
            with contextlib.ExitStack() as stack:
                function(Scene(stack, name))
        return function
    return register


@scene("any", "any: the first that is done wins, the others have stopped")
def _(at):
    at.started(0, 2)
    at.undecided(3)
    at.done(1)
    at.finish(0, 2)


@scene("k_of_n", "k of n: decided by the k-th success, not by a failure; what was done before is kept")
def _(at):
    at.started(1, 3)
    at.done(0)
    at.fail(2)
    at.undecided(3)
    at.done(4)
    at.finish(1, 3)


@scene("fail_fast", "all: one failure stops what still runs; what was done before is kept")
def _(at):
    at.started(1, 3)
    at.done(0)
    at.undecided(3)
    at.fail(2)
    at.finish(1, 3)


@scene("impossible", "k of n: fails as soon as too few are left, and stops them")
def _(at):
    at.started(3)
    at.done(0)
    at.fail(1)
    at.undecided(2)
    at.fail(2)
    at.finish(3)


@scene("not_held", "what is not held goes on when its join is decided, and has its own result")
def _(at):
    at.done(0)
    at.submitter.wait_line("first")
    equal(at.stats()["leased"], 1, "goes on")
    at.done(1)
    at.finish()


@scene("reducer", "a task that waits for others gets each outcome, in their order")
def _(at):
    at.done(2)
    at.fail(1)
    at.undecided(1)
    check("reduced" not in at.worker.output(), "handed out too early")
    at.done(0)
    at.worker.wait_line("reduced 3")
    at.finish()


@scene("reducer_of_any", "a task that waits for the first of some is handed out; the others stop")
def _(at):
    at.started(0, 2)
    at.done(1)
    at.worker.wait_line("reduced 3")
    at.finish(0, 2)


@scene("run_if", "a task that waits for others runs, fails or is skipped, as run_if says")
def _(at):
    at.done(0)
    at.fail(1)
    at.worker.wait_line("reduced 2")
    at.done(0)  # skipped
    at.fail(0)  # fails
    at.done(1)
    at.fail(0)  # runs, without inputs
    at.done(1)
    at.worker.wait_line("reduced 0")
    at.finish(skipped=1)


@scene("terms", "terms of a join that cannot be meant are refused")
def _(at):
    at.done(0)
    at.done(1)
    at.finish()


@scene("unsent", "held members of a join that ends before it is sent are stopped")
def _(at):
    at.finish(skipped=3)


if __name__ == "__main__":
    main()
