#!/usr/bin/python3
"""Fibers that wait, against a real broker: several for one future, and what ends a wait.

The peers are tests/system/waiting_cases.c, one case a process."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import BUILD, Broker  # noqa: E402
from sluice_test import case, check, main, run  # noqa: E402

CASES = os.path.join(BUILD, "tests", "system", "waiting_cases")


def in_process(name, promise):
    @case(promise)
    def _():
        with Broker() as broker:
            status, output = run([CASES, broker.endpoint, name], 30)
            check(status == 0, "exit status %d: %s" % (status, output))


def alone(name, promise):
    @case(promise)
    def _():
        status, output = run([CASES, "ipc:///nonexistent/sluice.sock", name], 30)
        check(status == 0, "exit status %d: %s" % (status, output))


in_process("one_loop", "two fibers share the futures of an as_completed loop, and both see its end")
in_process("two_loops", "what two as_completed loops have in common goes to the one that asked last")
in_process("accepted", "two fibers wait until the broker has one task")

in_process("freed_join", "on_ended of a held member may free its join")
alone("freed_in_scope", "on_ended may free another future of a scope that is being closed")
in_process("attached", "a scope is closed without what was attached to in it")
in_process("for_ever", "UINT64_MAX is for ever: to wait, to sleep, to connect and to drain")
in_process("computed", "a wait begins when it is asked for, however long was computed before")
alone("stopped", "what fibers waited for at a second stop is freed before or after the peer")

main()
