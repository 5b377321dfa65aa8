#!/usr/bin/python3
"""tests/run: counts cases, and takes no silence, crash or leftover for success."""
import os
import signal
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import ROOT, Process, Reports, case, check, equal, main, run, wait_gone

RUN = os.path.join(ROOT, "tests/run")


def write_tests(build, scripts):
    os.makedirs(os.path.join(build, "tests/unit"))
    for name, script in scripts.items():
        path = os.path.join(build, "tests/unit/test_" + name)
        with open(path, "w") as file:
            file.write("#!/bin/sh\n" + script + "\n")
        os.chmod(path, 0o755)
    return ["env", "-u", "SLUICE_JOBS", "BUILD=" + build, RUN, "unit"]


def run_tests(**scripts):
    """Runs tests/run over unit tests that are these shell scripts: (status, output)."""
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as build:
        return run(write_tests(build, scripts))


def last_line(output):
    return output.splitlines()[-1]


@case("cases are counted, not files; all passed is success")
def _():
    status, output = run_tests(a="echo 'ok 1 - x'; echo 'ok 2 - y'", b="echo '1..1'; echo 'ok 1 - z'")
    equal((status, last_line(output)), (0, "3 passed, 0 failed"))


@case("a skipped case is counted as such")
def _():
    status, output = run_tests(a="echo 'ok 1 - x # skip no zmq'; echo 'ok 2 - y'")
    equal((status, last_line(output)), (0, "1 passed, 0 failed, 1 skipped"))


@case("a failed case fails the run, and its output is shown")
def _():
    status, output = run_tests(a="echo 'not ok 1 - x: broken pipe'; echo '# the details'; exit 1")
    equal((status, last_line(output)), (1, "0 passed, 1 failed"))
    check("broken pipe" in output and "the details" in output, "it said: " + output)


@case("what failed is named again where the output ends")
def _():
    _, output = run_tests(a="echo 'not ok 1 - x: broken pipe'; exit 1", b="echo 'ok 1 - y'; exit 3",
                          c="echo 'ok 1 - z'")
    equal(output.splitlines()[-3:],
          ["unit/test_a: not ok 1 - x: broken pipe", "unit/test_b: exit status 3",
           "2 passed, 2 failed"])


@case("a crash is a failure, even after passing cases")
def _():
    status, output = run_tests(a="echo 'ok 1 - x'; kill -SEGV $$")
    equal((status, last_line(output)), (1, "1 passed, 1 failed"))
    check("SIGSEGV" in output, "it said: " + output)


@case("so is a bad exit status, a case too few, and a test that says nothing")
def _():
    for script in ("echo 'ok 1 - x'; exit 3", "echo '1..2'; echo 'ok 1 - x'"):
        status, output = run_tests(a=script)
        equal((status, last_line(output)), (1, "1 passed, 1 failed"), script)
    status, output = run_tests(a="true")
    equal((status, last_line(output)), (1, "0 passed, 1 failed"))


@case("a process left behind is a failure, and is gone afterwards")
def _():
    status, output = run_tests(a="echo 'ok 1 - x'; sleep 600 & echo \"# pid $!\"")
    equal((status, last_line(output)), (1, "1 passed, 1 failed"))
    wait_gone([int(output.split("# pid ")[1].split()[0])])


@case("two files run at a time")
def _():
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
        os.mkfifo(os.path.join(directory, "here"))
        os.mkfifo(os.path.join(directory, "there"))
        status, output = run_tests(
            a="cd %s; echo x > here; read word < there; echo 'ok 1 - a'" % directory,
            b="cd %s; read word < here; echo x > there; echo 'ok 1 - b'" % directory)
    equal((status, last_line(output)), (0, "2 passed, 0 failed"))


@case("one that is interrupted leaves nothing running")
def _():
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as build:
        pids = os.path.join(build, "pids")
        scripts = {name: "echo $$ > %s; sleep 600" % pids for name in "ab"}
        scripts["c"] = "touch %s/begun" % build
        with Reports(pids) as begun, Process(write_tests(build, scripts)) as runner:
            running = [int(pid) for pid in begun.read(2)]
            runner.signal(signal.SIGINT)
            equal(runner.wait_exit(), 130, "exit status")
            check(not os.path.exists(os.path.join(build, "begun")), "the third began")
        wait_gone(running)


@case("what SLUICE_JOBS says must be a number")
def _():
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as build:
        command = write_tests(build, {"a": "echo 'ok 1 - x'"})
        status, output = run(command[:3] + ["SLUICE_JOBS=many"] + command[3:])
    check(status == 1 and "'many'" in output and "Traceback" not in output, output)


@case("nothing to run is no success")
def _():
    status, output = run_tests()
    equal((status, last_line(output)), (1, "0 passed, 0 failed"))


if __name__ == "__main__":
    main()
