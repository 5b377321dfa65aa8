#!/usr/bin/python3
"""Mail for an agent that is not there yet: real processes."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import ERROR, Broker, Peer, case, check, equal, main, sluice

ACCEPTED = 33
STARTED = 34


@case("a message waits for its reader, its sender has gone, and the answer is fetched later")
def _():
    with Broker() as broker:
        task = sluice(broker, "submit", "inbox.ann", '{"n": 1}', "--wait", "--detached").strip()
        check("no_worker" in sluice(broker, "why", task), "says that nobody is there")
        with Peer(broker, "ann") as ann:
            ann.offer("inbox.ann", 1, exclusive=True)
            ann.done(ann.task(), b"\xa4read")
            equal(sluice(broker, "result", task, "--wait").strip(), '"read"')


@case("who does not say that it waits is refused, however many wait")
def _():
    with Broker() as broker:
        sluice(broker, "submit", "inbox.ann", "--wait", "--detached")
        check("unknown_service" in sluice(broker, "submit", "inbox.ann", status=1), "says so")


@case("a mailbox has one reader at a time")
def _():
    with Broker() as broker, Peer(broker, "ann") as ann, Peer(broker, "eve") as eve:
        ann.offer("inbox.ann", 1, exclusive=True)
        ann.ping()
        eve.offer("inbox.ann", 1)
        equal(eve.wait(ERROR).error["code"], "conflict")
        ann.bye()
        ann.close()
        broker.wait_line("peer_ended")
        eve.offer("inbox.ann", 1)
        eve.ping()
        eve.nothing(ERROR)


@case("receipts: accepted when it is kept, started when somebody has it")
def _():
    with Broker() as broker, Peer(broker, "bob") as bob, Peer(broker, "ann") as ann:
        task = bob.submit("inbox.ann", b"hi", if_absent="wait", receipts=True)
        equal(bob.wait(ACCEPTED)[1], task)
        bob.ping()
        bob.nothing(STARTED)
        ann.offer("inbox.ann", 1)
        lease = ann.task()
        started = bob.wait(STARTED)
        equal((started[1], started[3]), (task, "ann"), "task and worker")
        ann.done(lease, b"ok")
        equal(bob.result(task).outcome, "done")


if __name__ == "__main__":
    main()
