#!/usr/bin/python3
"""Detached work and dead letters, by raw peers and by the command line: real processes."""
import json
import os
import sys
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import Broker, Peer, case, check, equal, main, new_id, sluice


def text(task):
    return str(uuid.UUID(bytes=bytes(task)))


def die(worker, submitter, code):
    task = new_id()
    submitter.submit("fragile", b"payload", task, dead_letter=True, attempts=2, backoff_ms=1)
    worker.fail(worker.task(), "busy", "Come back later.", True)
    worker.fail(worker.task(), code, "It fell apart.")
    submitter.result(task)
    return task


@case("sluice dead lists, shows, retries and drops")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker, Peer(broker, "asker") as asker:
        worker.offer("fragile", 1)
        equal(json.loads(sluice(broker, "dead", "--json")), [])
        first, second = die(worker, asker, "broken"), die(worker, asker, "torn")
        table = sluice(broker, "dead")
        check(text(first) in table and "It fell apart." in table, table)
        equal([row["code"] for row in json.loads(sluice(broker, "dead", "--json"))],
              ["broken", "torn"])
        equal(json.loads(sluice(broker, "dead", "--service", "other", "--json")), [])
        letter = json.loads(sluice(broker, "dead", "show", text(first), "--json"))
        equal([(c["attempt"], c["code"], c["worker"]) for c in letter["causes"]],
              [(1, "busy", "worker"), (2, "broken", "worker")])
        shown = sluice(broker, "dead", "show", text(first))
        check("Come back later." in shown, "no cause")
        check(time.strftime("%Y-%m-", time.localtime(letter["died_ms"] / 1000)) in shown, shown)
        equal(json.loads(sluice(broker, "dead", "retry", text(first), "--json")),
              {"retried": 1, "left": 0})
        again = worker.task()
        equal((bytes(again.field(1)), again.field(2)), (bytes(first), 3))
        worker.done(again, b"mended")
        equal(json.loads(sluice(broker, "dead", "drop", "--service", "fragile", "--json")),
              {"dropped": 1, "left": 0})
        equal(json.loads(sluice(broker, "dead", "--json")), [])
        sluice(broker, "dead", "retry", text(second), status=1)
        sluice(broker, "dead", "retry", status=2)
        sluice(broker, "dead", "bury", text(second), status=2)


@case("a detached task goes on without its submitter, and tells anybody how it ended")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker:
        worker.offer("slow", 1)
        task = new_id()
        with Peer(broker, "asker") as asker:
            asker.submit("slow", b"in", task, detached=True)
            held = worker.task()
            asker.bye()
        worker.done(held, b"out")
        worker.ping()
        with Peer(broker, "another") as another:
            rows = another.query("list")["tasks"]
            equal([(bytes(row["id"]), row["state"]) for row in rows], [(bytes(task), "done")])
            another.query("result", task)
            equal(another.result(task).body, b"out")


main()
