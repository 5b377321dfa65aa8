#!/usr/bin/python3
"""sluice-bench-core checks what it measures, and tests/bench/guard notices what a task costs more."""
import json
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import BUILD, ROOT, case, check, equal, main, run

CORE = os.path.join(BUILD, "bin/sluice-bench-core")
GUARD = os.path.join(ROOT, "tests/bench/guard")
WORKLOADS = ("echo", "keys", "services", "delayed", "gather", "depth", "cancel", "stream", "codec")
FEW = ["--tasks", "300", "--only", "echo,decode"]
PATIENCE_S = 100  # valgrind is 50 times slower, and a machine may be busy
recorded_once = []  # what --record has written, for every case to begin with


def core(*arguments):
    status, output = run([CORE, *arguments, "--json"], seconds=60)
    equal(status, 0, "exit status of %s: %s" % (" ".join(arguments), output))
    return json.loads(output)


def is_optimised():
    return core("--workload", "codec", "--tasks", "1")["optimised"]


def why_no_guard():
    """Why the guard cannot count here; None: it can."""
    if shutil.which("valgrind") is None:
        return "valgrind is not here"
    return None if is_optimised() else "not the build that is measured"


def record():
    """The text of a file recorded here and now."""
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
        path = os.path.join(folder, "guard.json")
        status, output = run([GUARD, "--record", "--file", path, *FEW], seconds=PATIENCE_S)
        equal(status, 0, "exit status of --record: %s" % output)
        with open(path) as file:
            return file.read()


def guard_case(name):
    """A case whose function gets the name of a file of its own that was recorded here."""
    def decorate(function):
        @case(name)
        def _():
            why = why_no_guard()
            if why is not None:
                print("# skipped: %s" % why)
                return
            if not recorded_once:
                recorded_once.append(record())
            with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
                path = os.path.join(folder, "guard.json")
                with open(path, "w") as file:
                    file.write(recorded_once[0])
                function(path)
    return decorate


def change(path, function):
    with open(path) as file:
        recorded = json.load(file)
    function(recorded)
    with open(path, "w") as file:
        json.dump(recorded, file)


@case("every workload has all its answers, and says what they took")
def _():
    for workload in WORKLOADS:
        result = core("--workload", workload, "--tasks", "500")
        for key in ("lost", "duplicated", "corrupt", "failed"):
            equal(result[key], 0, "%s: %s" % (workload, key))
        check(result["tasks"] > 0, "%s: %s tasks" % (workload, result["tasks"]))
        if workload != "codec":
            check(result["steps_per_task"] > 1, "%s: %s" % (workload, result))
    check(core("--workload", "cancel", "--tasks", "500")["cancelled"] > 0, "nothing was cancelled")


@case("payloads that are attached come back too; an echo asks the heap for nothing but them")
def _():
    equal(core("--tasks", "500", "--payload", "20000")["failed"], 0)
    if is_optimised():  # sanitizers want to see every blob come and go
        equal(core("--tasks", "5000")["heap_calls_per_task"], 0)
        # And they are counted at all: a join is made for its own sake.
        check(core("--workload", "gather", "--tasks", "5000")["heap_calls_per_task"] > 0, "no call")


@case("a seed is one run")
def _():
    # How many end in the turn that is the last depends on how long each was delayed.
    ended = [core("--workload", "delayed", "--tasks", "20000", "--seed", seed)["tasks"] for seed in ("7", "7", "8")]
    equal(ended[0], ended[1])
    check(ended[0] != ended[2], "another seed, and nothing differs: %s" % ended)


@case("a wrong command line says what is right")
def _():
    for arguments, word in ((["--workload", "nonsense"], "--help"), (["--tasks", "0"], "from 1"),
                            (["--workload", "codec", "--payload", "9000"], "8192"), (["stray"], "--help")):
        status, output = run([CORE, *arguments])
        equal(status, 2, "exit status")
        check(word in output, "it said: " + output)
    for program in (CORE, GUARD):
        status, output = run([program, "--help"])
        equal(status, 0, "exit status of --help")
        check("--tasks" in output, "it said: " + output)
    equal(run([GUARD, "--only", "nonsense"], seconds=PATIENCE_S)[0], 2, "exit status")


@guard_case("what is as recorded passes; a figure recorded 4 % too low fails, and is named")
def _(path):
    status, output = run([GUARD, "--file", path, *FEW], seconds=PATIENCE_S)
    equal(status, 0, "exit status of the guard: %s" % output)
    check(output.count("+0.00 %") == 2, "two runs differ: " + output)

    def lower(recorded):
        recorded["instructions_per_task"]["decode"] *= 0.96
    change(path, lower)
    status, output = run([GUARD, "--file", path, *FEW], seconds=PATIENCE_S)
    equal(status, 1, "exit status")
    check("decode: more than 3 %" in output and "echo:" not in output, "it said: " + output)
    check("RECORD=1" in output, "it said: " + output)


@guard_case("what has become better, and what was never recorded, is to be recorded")
def _(path):
    def alter(recorded):
        recorded["instructions_per_task"]["echo"] *= 1.04
        del recorded["instructions_per_task"]["decode"]
    change(path, alter)
    for figure, expected in (("echo", 0), ("decode", 1)):
        status, output = run([GUARD, "--file", path, *FEW[:2], "--only", figure],
                             seconds=PATIENCE_S)
        equal(status, expected, "exit status for " + figure)
        check("RECORD=1" in output, "it said: " + output)


@guard_case("figures of another compiler are reported, and fail nothing")
def _(path):
    def alter(recorded):
        recorded["compiler"] = "gcc 2.95"
        recorded["instructions_per_task"]["echo"] = 1
    change(path, alter)
    status, output = run([GUARD, "--file", path, *FEW], seconds=PATIENCE_S)
    equal(status, 0, "exit status")
    check("gcc 2.95 where it was recorded" in output, "it said: " + output)


if __name__ == "__main__":
    main()
