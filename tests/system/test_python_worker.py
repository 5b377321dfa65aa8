#!/usr/bin/python3
"""The Python worker of docs/agents.md is a complete worker: extracted, run, and served with."""
import json
import os
import sys
import tempfile

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from example import extract
from sluice_test import Broker, Deadline, Peer, Process, case, check, equal, main, program, run


class Shout(Process):
    """The worker, running against `broker`."""

    def __init__(self, broker):
        self.scratch = tempfile.TemporaryDirectory(prefix="sluice-test-")
        path = os.path.join(self.scratch.name, "shout.py")
        with open(path, "w") as file:
            file.write(extract("python", "shout.py"))
        super().__init__(["/usr/bin/python3", path], {"SLUICE_BROKER": broker.endpoint})

    def __exit__(self, *exception):
        super().__exit__(*exception)
        self.scratch.cleanup()


def submit(broker, service, arguments):
    return run([program("sluice"), "submit", "--broker", broker.endpoint, "--wait", "--quiet",
                "--deadline-ms", "20000", service, json.dumps(arguments)], seconds=30)


@case("the worker of docs/agents.md serves `sluice submit`")
def _():
    with Broker() as broker, Shout(broker) as worker:
        status, output = submit(broker, "demo.shout", {"text": "hello"})
        equal(status, 0, "exit status of sluice submit, which said '%s'; the worker: %s;" %
              (output, worker.output()))
        equal(json.loads(output.splitlines()[-1]), {"text": "HELLO!"})


@case("its failure reaches the submitter with code and message")
def _():
    with Broker() as broker, Shout(broker):
        status, output = submit(broker, "demo.shout", {"no text": 1})
        equal(status, 1, "exit status")
        check("bad_arguments" in output, "no bad_arguments in: " + output)


@case("a large text travels in a frame of its own, both ways")
def _():
    with Broker() as broker, Shout(broker):
        with Peer(broker, "asker") as asker:
            text = "x" * 300000
            task = asker.submit("demo.shout", msgpack.packb({"text": text}), if_absent="wait")
            result = asker.result(task, 20)
            equal(result.outcome, "done")
            equal(msgpack.unpackb(result.body), {"text": text.upper() + "!"})


@case("it stays known while it is idle, and serves on")
def _():
    with Broker("--ping-ms", "100", "--silence-ms", "500") as broker, Shout(broker) as worker:
        equal(submit(broker, "demo.shout", {"text": "a"})[0], 0, "exit status")
        with Peer(broker, "watcher") as watcher:
            limit = Deadline(10)
            while watcher.query("stats")["uptime_ms"] < 3000 and not limit.passed():
                watcher.ping()  # five silences long
            equal([p["state"] for p in watcher.query("peers")["peers"] if p["name"] == "shout.py"],
                  ["connected"], "state of the idle worker")
        equal(submit(broker, "demo.shout", {"text": "b"})[0], 0, "exit status")
        check(worker.running(), "the worker has ended: " + worker.output())


@case("it survives a broker that is killed and started again")
def _():
    with Broker() as broker, Shout(broker) as worker:
        equal(submit(broker, "demo.shout", {"text": "before"})[0], 0, "exit status")
        broker.kill()
        broker.restart()
        status, output = submit(broker, "demo.shout", {"text": "after"})
        equal(status, 0, "exit status; it said '%s', the worker '%s';" % (output, worker.output()))
        equal(json.loads(output.splitlines()[-1]), {"text": "AFTER!"})


if __name__ == "__main__":
    main()
