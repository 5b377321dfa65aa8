#!/usr/bin/python3
"""Drain: workers, services and the broker are stopped without a loss, by the command line."""
import json
import os
import sys
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import Broker, Deadline, Peer, Process, case, check, equal, main, program, sluice


@case("workers are replaced one by one, and every task comes back once")
def _():
    with Broker() as broker, Peer(broker, "old") as old, Peer(broker, "asker") as asker:
        old.offer("echo", 2)
        tasks = [asker.submit("echo", b"%d" % i) for i in range(4)]
        held = [old.task(), old.task()]
        waiting = Process([program("sluice"), "drain", "peer", "old", "--wait", "--broker",
                           broker.endpoint])
        with waiting, Peer(broker, "new") as new:
            deadline = Deadline(20)
            while "drained" not in sluice(broker, "peers"):
                check(not deadline.passed(), "it is not drained")
            equal(json.loads(sluice(broker, "why", str(uuid.UUID(bytes=bytes(tasks[2]))), "--json"))["reason"],
                  "draining")
            new.offer("echo", 2)
            for _ in range(2):
                new.serve_one()
            check(waiting.running(), "it did not wait")
            for task in held:
                old.done(task)
            equal(waiting.wait_exit(), 0)
            check("drained; 0 left" in waiting.output(), waiting.output())
            old.bye()
            for task in tasks:
                equal(asker.result(task).outcome, "done")


@case("a drained service refuses, and takes work again")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker, Peer(broker, "asker") as asker:
        worker.offer("echo", 1)
        first = asker.submit("echo", b"1")
        held = worker.task()
        check("drained; 1 left" in sluice(broker, "drain", "service", "echo"), "left")
        check("drained" in sluice(broker, "services"), "services shows it")
        refused = asker.result(asker.submit("echo", b"2"))
        equal((refused.outcome, refused.body["code"], refused.body["retry_after_ms"]),
              ("refused", "draining", 1000))
        worker.done(held)
        equal(asker.result(first).outcome, "done")
        sluice(broker, "drain", "service", "echo", "--wait")
        check("takes work again" in sluice(broker, "undrain", "service", "echo"), "undrain")
        task = asker.submit("echo", b"3")
        worker.serve_one()
        equal(asker.result(task).outcome, "done")


@case("a drained broker goes on until it is stopped")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker, Peer(broker, "asker") as asker:
        worker.offer("echo", 1)
        equal(json.loads(sluice(broker, "drain", "broker", "--wait", "--json")), {"left": 0})
        refused = asker.result(asker.submit("echo", b"1"))
        equal(refused.body["code"], "draining")
        check("DRAINING" in sluice(broker, "top", "--once"), "top shows it")
        sluice(broker, "undrain", "broker")
        task = asker.submit("echo", b"1")
        worker.serve_one()
        equal(asker.result(task).outcome, "done")


@case("what cannot be drained is named")
def _():
    with Broker() as broker, Peer(broker, "twin") as one, Peer(broker, "twin") as other:
        check("several peers" in sluice(broker, "drain", "peer", "twin", status=1), "two")
        check("no peer" in sluice(broker, "drain", "peer", "nobody", status=1), "none")
        check("not_found" in sluice(broker, "drain", "service", "nothing", status=1), "service")
        check("it is peer" in sluice(broker, "drain", "everything", status=2), "usage")
        check("it is peer" in sluice(broker, "drain", "service", status=2), "usage")
        del one, other


main()
