#!/usr/bin/python3
"""Durable tasks: what was told of them survives kill -9, and restarts of every kind."""
import contextlib
import json
import os
import random
import resource
import shutil
import sqlite3
import sys
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import (ACCEPTED, DONE, QUERY, REPLY, RESULT, SUBMIT, TASK, Broker, Deadline,
                         DurableBroker, Peer, case, check, equal, main, new_id, program, run,
                         sluice)

KILLS = int(os.environ.get("SLUICE_KILLS", "25"))


def text(task):
    return str(uuid.UUID(bytes=bytes(task)))


@case("a durable task and its outcome survive kill -9")
def _():
    with DurableBroker() as broker:
        first = sluice(broker, "submit", "later", '{"n": 1}', "--durable", "--detached",
                       "--wait").strip()
        broker.kill()
        broker.restart()
        equal(json.loads(sluice(broker, "status", first, "--json"))["state"], "ready")
        with Peer(broker, "worker") as worker:
            worker.offer("later", 1)
            task = worker.task()
            equal(text(task[1]), first)
            worker.done(task, b"\xa4done")
            equal(json.loads(sluice(broker, "result", first, "--wait")), "done")
        broker.kill()
        broker.restart()
        equal(json.loads(sluice(broker, "result", first)), "done")


@case("limits, pauses and drains that were set at run time survive kill -9")
def _():
    with DurableBroker() as broker:
        for service in ("work", "later", "old"):
            sluice(broker, "limit", service, "--concurrency", "1")
        sluice(broker, "pause", "later")
        sluice(broker, "drain", "service", "old")
        task = sluice(broker, "submit", "work", "--durable", "--detached", "--wait").strip()
        broker.kill()
        broker.restart()
        row = [r for r in json.loads(sluice(broker, "limit", "--json"))
               if r["service"] == "work"][0]
        equal(row["concurrency"], 1)
        row = [r for r in json.loads(sluice(broker, "services", "--json"))
               if r["service"] == "old"][0]
        check(row["draining"], "a drained service is still drained")
        sluice(broker, "limit", "work", "--concurrency", "0")
        sluice(broker, "resume", "later")
        broker.kill()
        broker.restart()
        equal(json.loads(sluice(broker, "status", task, "--json"))["state"], "ready")


@case("an orderly end leaves what waits to the next start")
def _():
    with DurableBroker() as broker:
        task = sluice(broker, "submit", "later", "--durable", "--detached", "--wait").strip()
        equal(broker.stop(), 0)
        broker.restart()
        equal(json.loads(sluice(broker, "status", task, "--json"))["state"], "ready")
        equal(json.loads(sluice(broker, "stats", "--json"))["store"], "open")


@case("a large payload survives as it was")
def _():
    with DurableBroker() as broker, Peer(broker, "asker") as asker:
        payload = os.urandom(3000000)
        task = asker.submit("later", payload, durable=True, detached=True, receipts=True,
                            if_absent="wait")
        asker.wait(ACCEPTED)
        broker.kill()
        broker.restart()
        with Peer(broker, "worker") as worker:
            worker.offer("later", 1)
            got = worker.task()
            check(bytes(got[1]) == task and bytes(got[4]) == payload, "it is another one")
            worker.done(got)


@case("without a store nothing durable is accepted, and it says so")
def _():
    with Broker() as broker:
        said = sluice(broker, "submit", "later", "--durable", "--wait", status=1)
        check("unsupported" in said or "store" in said, said)


@case("two brokers do not share a store, and a file that is none is left alone")
def _():
    with DurableBroker() as broker:
        status, said = run([program("sluice-broker"), "--endpoint", "tcp://127.0.0.1:*",
                            "--store", broker.path])
        check(status != 0 and "store" in said or "tasks.db" in said, said)
        strange = os.path.join(broker.directory, "letter.txt")
        with open(strange, "w") as file:
            file.write("Dear Ann, " * 1000)
        status, said = run([program("sluice-broker"), "--endpoint", "tcp://127.0.0.1:*",
                            "--store", strange])
        check(status != 0 and "letter.txt" in said, said)
        with open(strange) as file:
            equal(file.read(), "Dear Ann, " * 1000)


def disk_bytes(broker):
    """The largest of the store's files."""
    return max(os.path.getsize(os.path.join(broker.directory, name))
               for name in os.listdir(broker.directory) if name.startswith("tasks.db"))


@case("a full disk refuses what is durable, loses nothing, and is over by itself")
def _():
    with DurableBroker() as broker, Peer(broker, "asker") as asker, \
            Peer(broker, "worker") as worker:
        worker.offer("work", 1000)
        before = [asker.submit("work", b"x" * 5000, durable=True, receipts=True)
                  for _ in range(20)]
        for _ in before:
            asker.wait(ACCEPTED)
        # No file of the broker may grow beyond this: to it that is a full disk.
        hard = resource.prlimit(broker.child.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(broker.child.pid, resource.RLIMIT_FSIZE, (disk_bytes(broker), hard))
        waiting, refused = [], None
        deadline = Deadline(20)
        while refused is None:
            check(not deadline.passed(), "nothing was refused")
            task = asker.submit("work", b"y" * 5000, durable=True, receipts=True)
            asker.ping()
            refusals = [c for c in asker.inbox if c.code == RESULT and c.outcome == "refused"]
            if refusals:
                refused = refusals[0]
            else:
                waiting.append(task)
        equal(refused.body["code"], "store_unavailable")
        equal(broker.wait_line("store_state state=full") != "", True)
        equal(json.loads(sluice(broker, "stats", "--json"))["store"], "full")
        asker.drain()
        told = {bytes(c[1]) for c in asker.inbox if c.code == ACCEPTED}
        check(not told & set(waiting), "ACCEPTED without room for it")
        volatile = asker.submit("work", b"v")  # what is not durable goes on
        while True:
            task = worker.task()
            worker.done(task, b"\xc0")
            if bytes(task[1]) == volatile:
                break
        equal(asker.result(volatile).outcome, "done")
        resource.prlimit(broker.child.pid, resource.RLIMIT_FSIZE, (hard, hard))
        broker.wait_line("store_state state=open")
        for task in before + waiting:
            equal(asker.result(task).outcome, "done")
        told = {bytes(c[1]) for c in asker.inbox if c.code == ACCEPTED}
        equal(told >= set(waiting), True, "they are accepted in the end")
        last = asker.submit("work", durable=True)
        worker.done(worker.task())
        equal(asker.result(last).outcome, "done")


def keep_for_later(asker, count):
    """Durable tasks, of a transaction each."""
    for number in range(count):
        asker.submit("later", b"n%d-" % number * 20, durable=True, detached=True, receipts=True,
                     if_absent="wait")
        asker.wait(ACCEPTED)


def check_kept(broker, count):
    with Peer(broker, "worker") as worker:
        worker.offer("later", 100)
        payloads = {bytes(worker.task()[4]) for _ in range(count)}
        equal(payloads, {b"n%d-" % number * 20 for number in range(count)})


def flip_bit(path, find):
    """Of the byte at find(what the file holds)."""
    with open(path, "r+b") as file:
        content = file.read()
        at = find(content)
        file.seek(at)
        file.write(bytes([content[at] ^ 4]))


@case("a bit that flips in the log costs no more than its row, and is told")
def _():
    with DurableBroker() as broker, Peer(broker, "asker") as asker:
        keep_for_later(asker, 40)
        broker.kill()
        log = broker.path + "-wal"
        size = os.path.getsize(log)
        flip_bit(log, lambda content: content.index(b"n7-n7-n7-"))  # in an early frame
        status, said = run([program("sluice"), "store", "check", broker.path])
        check(status == 1 and "log: 1 frames are damaged" in said, said)
        for command in ("stats", "export"):
            status, said = run([program("sluice"), "store", command, broker.path])
            check(status == 1 and "the log is damaged, so rows are missing" in said, said)
        broker.restart()
        broker.wait_line("store_log_mended")
        # The page was written again later: nothing is lost.
        equal(json.loads(sluice(broker, "stats", "--json"))["store"], "open")
        kept = [name for name in os.listdir(broker.directory) if "-wal.damaged-" in name]
        equal(len(kept), 1, "copies of the log")
        with open(os.path.join(broker.directory, kept[0]), "rb") as file:
            check(len(file.read()) == size, "the copy has another size")
        check_kept(broker, 40)


@case("a log that has been copied into the database and is damaged gets its pages from there")
def _():
    with DurableBroker() as broker, Peer(broker, "asker") as asker:
        keep_for_later(asker, 20)
        broker.kill()
        log = broker.path + "-wal"
        with contextlib.closing(sqlite3.connect(broker.path)) as database:
            database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            for path in (broker.path, log):  # which it removes when it is closed
                shutil.copy(path, path + ".copy")
        for path in (broker.path, log):
            os.rename(path + ".copy", path)
        flip_bit(log, lambda content: content.rindex(b"n19-n19-"))  # in the last transaction
        for command in ("check", "stats", "export"):
            status, said = run([program("sluice"), "store", command, broker.path])
            check(status == 2 and "is older than the database: start a broker" in said, said)
        broker.restart()
        broker.wait_line("store_log_mended")
        check_kept(broker, 20)


class Ledger:
    """What a submitter of detached durable tasks was told."""

    def __init__(self):
        self.session = new_id()
        self.open = {}      # submitted, not yet accepted: payload
        self.accepted = {}  # accepted, no outcome seen: the outcome that was told, or None
        self.settled = 0
        self.told_twice = 0

    def hear(self, command):
        task = bytes(command[1])
        if command.code == ACCEPTED:
            if task in self.open:
                del self.open[task]
                self.accepted[task] = None
        elif command.code == RESULT:
            check(command.outcome == "done", "it was %s" % command)
            if task in self.open:  # it was known after all
                del self.open[task]
                self.accepted[task] = None
            if task in self.accepted:
                told = self.accepted[task]
                check(told is None or told == bytes(command[3]), "two outcomes were told")
                self.told_twice += told is not None
                self.accepted[task] = bytes(command[3])


def one_life(broker, ledger, seconds, tasks):
    """The submitter and a worker, until the time is up."""
    end = Deadline(seconds)
    with Peer(broker, "asker", hello=False) as asker, Peer(broker, "worker") as worker:
        asker.session = ledger.session
        asker.hello()
        worker.offer("work", 100)
        for _ in range(tasks):
            ledger.open[new_id()] = os.urandom(random.choice([10, 100, 8000]))
        asker.send(*[[SUBMIT, task, "work", payload, {"durable": True, "detached": True,
                                                      "receipts": True, "retain_ms": 20000}]
                     for task, payload in ledger.open.items()])
        # What was accepted is there, and says what it said.
        asker.send(*[[QUERY, number, "result", task]
                     for number, task in enumerate(ledger.accepted, 1)] or [[QUERY, 0, "stats"]])
        asked = list(ledger.accepted)
        while not end.passed():
            asker._receive(0.002)
            worker._receive(0.002)
            answers = []
            while worker.inbox:
                command = worker.inbox.popleft()
                if command.code == TASK:
                    answers.append([DONE, bytes(command[1]), command[2], os.urandom(12)])
            if answers:
                worker.send(*answers)
            while asker.inbox:
                command = asker.inbox.popleft()
                ledger.hear(command)
                if command.code == REPLY and 0 < command[1] <= len(asked):
                    task = asked[command[1] - 1]
                    check(command[2], "%s was accepted, and is lost: %s" % (text(task), command))
                    if command[3]["ended"] and ledger.accepted.get(task) is not None:
                        del ledger.accepted[task]
                        ledger.settled += 1


@case("%d times kill -9 under load: nothing that was accepted is lost, no outcome changes" % KILLS)
def _():
    ledger = Ledger()
    random.seed(KILLS)
    with DurableBroker() as broker:
        for _ in range(KILLS):
            one_life(broker, ledger, random.uniform(0.005, 0.1), random.choice([0, 10, 40]))
            broker.kill()
            broker.restart()
        deadline = Deadline(60)
        while (ledger.open or ledger.accepted) and not deadline.passed():
            one_life(broker, ledger, 0.2, 0)
        equal((len(ledger.open), len(ledger.accepted)), (0, 0), "tasks that never ended")
        check(ledger.settled > 5 * KILLS, "hardly anything happened: %d" % ledger.settled)


if __name__ == "__main__":
    main()
