#!/usr/bin/python3
"""Versions: a submit that asks for one is served by a worker of it, by the command line."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import Broker, Deadline, Peer, Process, case, check, equal, main, program, sluice


@case("each version gets what asks for it, and any what does not")
def _():
    with Broker() as broker, Peer(broker, "one") as one, Peer(broker, "two") as two:
        one.offer("text.summarise", 1, version="1")
        two.offer("text.summarise", 1, version="2")
        check("1 2" in sluice(broker, "services"), "services names both versions")
        with Peer(broker, "asker") as asker:
            tasks = [asker.submit("text.summarise", b"x", version="2") for _ in range(3)]
            plain = asker.submit("text.summarise", b"y")
            held = two.task()
            one.done(one.task())
            equal(asker.result(plain).outcome, "done")
            two.done(held)
            two.serve_one()
            two.serve_one()
            for task in tasks:
                equal(asker.result(task).outcome, "done")


@case("a version that nobody offers is refused, or waited for")
def _():
    with Broker() as broker, Peer(broker, "one") as one:
        one.offer("echo", 1, version="1")
        said = sluice(broker, "submit", "echo", "1", "--version", "3", "--json", status=1)
        equal(json.loads(said.splitlines()[0])["error"]["code"], "unknown_service")
        waiting = Process([program("sluice"), "submit", "echo", '"hello"', "--version", "3", "--wait",
                           "--broker", broker.endpoint])
        with waiting, Peer(broker, "three") as three:
            deadline = Deadline(20)
            while json.loads(sluice(broker, "stats", "--json"))["queued"] == 0:
                check(not deadline.passed(), "nothing is queued")
            check(waiting.running(), "it did not wait")
            three.offer("echo", 1, version="3")
            three.serve_one()
            equal(waiting.wait_exit(), 0)
            check("hello" in waiting.output(), waiting.output())


if __name__ == "__main__":
    main()
