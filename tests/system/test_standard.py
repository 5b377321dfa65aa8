#!/usr/bin/python3
"""Every program runs with its descriptors 0, 1 and 2 closed, and takes none of them for its own files."""
import os
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from ports import free_port  # noqa: E402
from sluice_test import Broker, Deadline, case, check, equal, main, program  # noqa: E402


class Closed:
    """A program without any of the three."""

    def __init__(self, name, *options):
        self.name = name
        self.child = subprocess.Popen(["sh", "-c", 'exec "$0" "$@" <&- >&- 2>&-', program(name), *options])

    def end(self):
        """Its exit status."""
        return self.child.wait(timeout=30)

    def stop(self):
        equal(self.child.poll(), None, "exit status of %s, which runs;" % self.name)
        for number in range(3):
            equal(os.readlink("/proc/%d/fd/%d" % (self.child.pid, number)), "/dev/null")
        self.child.send_signal(signal.SIGTERM)
        equal(self.end(), 0, "exit status of %s;" % self.name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()


@case("agents and commands run without standard descriptors")
def _():
    with tempfile.TemporaryDirectory() as folder, Broker() as broker:
        for name, options in (("sluice-tool", ()), ("sluice-analysis", ()), ("sluice-research", ()),
                              ("sluice-cron", ("--state", os.path.join(folder, "state"))),
                              ("sluice-retriever", ("--docs", folder))):
            with Closed(name, "--broker", broker.endpoint, "--name", "my-" + name, *options) as agent:
                broker.wait_line("peer_connected peer=my-" + name)
                agent.stop()
        with Closed("sluice", "services", "--broker", broker.endpoint) as command:
            equal(command.end(), 0, "exit status of sluice services;")


@case("a broker without standard descriptors writes nothing but the audit into the audit")
def _():
    with tempfile.TemporaryDirectory() as folder:
        audit = os.path.join(folder, "audit.log")
        endpoint = "tcp://127.0.0.1:%d" % free_port()
        with Closed("sluice-broker", "--endpoint", endpoint, "--audit", audit) as broker:
            deadline = Deadline(30)
            command = [program("sluice"), "services", "--broker", endpoint]
            while subprocess.run(command, check=False, capture_output=True, timeout=30).returncode != 0:
                check(broker.child.poll() is None and not deadline.passed(), "nobody answers")
            broker.stop()
        with open(audit, encoding="utf-8") as file:
            check(all(line.startswith('{"n":') for line in file), "something else is in it")


if __name__ == "__main__":
    main()
