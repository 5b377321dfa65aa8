#!/usr/bin/python3
"""The audit: who did what is written down, and what is done to it afterwards shows."""
import json
import os
import resource
import subprocess
import sys
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import (CONTROL, REPLY, Broker, Deadline, Peer, case, check, equal, log_field,
                         main, new_id, program)


class Audited:
    """A broker with an audit, and a worker and an asker."""

    def __init__(self, *options):
        self.folder = subprocess.run(["mktemp", "-d"], check=True, capture_output=True,
                                     text=True).stdout.strip()
        self.path = os.path.join(self.folder, "audit.log")
        self.broker = Broker("--audit", self.path, *options, expect_exit=True)
        self.connect()

    def connect(self):
        self.worker, self.asker = Peer(self.broker, "worker"), Peer(self.broker, "asker")
        self.worker.offer("echo", 8)

    def control(self, what, **options):
        self.asker.send([CONTROL, 5, what, options])
        return self.asker.wait(REPLY)

    def work(self, count):
        for _ in range(count):
            task = self.asker.submit("echo", b"x")
            self.worker.serve_one()
            self.asker.result(task)

    def stop(self):
        self.worker.close()
        self.asker.close()
        equal(self.broker.stop(), 0, "exit status")
        return log_field(self.broker.wait_line("audit_closed"), "hash")

    def lines(self):
        with open(self.path, encoding="utf-8") as file:
            return file.read().splitlines()

    def write(self, lines):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in lines))

    def verify(self, *options, status=0):
        done = subprocess.run([program("sluice"), "audit", "verify", self.path, *options],
                              timeout=30, capture_output=True, text=True, check=False)
        equal(done.returncode, status, "exit status of verify, which said: " + done.stdout)
        return done.stdout

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.broker.__exit__(kind)
        subprocess.run(["rm", "-rf", self.folder], check=True)


@case("it says who did what, and how it ended")
def _():
    with Audited() as audited:
        asker, worker = audited.asker, audited.worker
        task = asker.submit("echo", b"hi", new_id(), dead_letter=True)
        worker.fail(worker.task(), "broken", "It fell apart.")
        asker.result(task)
        audited.control("limit", service="echo", concurrency=3)
        audited.control("pause", service="echo", ms=100)
        audited.control("drain", service="echo")
        audited.control("drop", task=task)
        audited.stop()
        entries = [json.loads(line) for line in audited.lines()]
        told = [(e["event"], e.get("peer"), e.get("service"), e.get("detail")) for e in entries]
        for wanted in (("submitted", "asker", "echo", "ready"),
                       ("failed", "worker", "echo", "broken"),
                       ("limit_changed", "asker", "echo", "concurrency=3"),
                       ("paused", "asker", "echo", "ms=100"),
                       ("draining", "asker", "echo", None),
                       ("letter_dropped", "asker", None, None)):
            check(wanted in told, "%r is not in %r" % (wanted, told))
        equal([e["task"] for e in entries if e["event"] == "failed"],
              [str(uuid.UUID(bytes=bytes(task)))])
        check("good: %d entries in 1 files" % len(entries) in audited.verify(), "good")


@case("a line that was edited, cut out or put in is named")
def _():
    with Audited() as audited:
        audited.work(5)
        audited.stop()
        lines = audited.lines()
        audited.write(lines[:4] + [lines[4].replace("echo", "ohce")] + lines[5:])
        check(audited.path + ":6: 'previous' is not" in audited.verify(status=1), "edited")
        audited.write(lines[:6] + lines[7:])
        check(":7: n is 8 after 6" in audited.verify(status=1), "cut out")
        audited.write(lines[:6] + [lines[5]] + lines[6:])
        check(":7: n is 6 after 6" in audited.verify(status=1), "put in")
        audited.write(lines[:3] + ["nothing of the kind"] + lines[3:])
        check(":4: not JSON" in audited.verify(status=1), "not JSON")
        audited.write(lines)
        audited.verify()


@case("a cut end shows against the hash in the broker's log, and only there")
def _():
    with Audited() as audited:
        audited.work(5)
        last = audited.stop()
        lines = audited.lines()
        check("nothing up to there" in audited.verify("--holds", last), "whole")
        audited.write(lines[:-3])
        check("not closed" in audited.verify(), "a cut end looks like a broker that was killed")
        check("no line has the hash" in audited.verify("--holds", last, status=1), "cut end")
        audited.write(lines[:-3])
        with open(audited.path, "a", encoding="utf-8") as file:
            file.write(lines[-3][:20])
        check("not whole" in audited.verify(status=1), "half a line")


@case("files are rotated, chained to each other, and few")
def _():
    with Audited("--audit-bytes", "64K", "--audit-files", "3") as audited:
        audited.work(700)
        audited.stop()
        names = sorted(os.listdir(audited.folder))
        equal(names, ["audit.log", "audit.log.1", "audit.log.2"])
        check(all(os.path.getsize(os.path.join(audited.folder, name)) <= 65536 for name in names),
              "too large")
        report = json.loads(audited.verify("--json"))
        check(report["good"] and report["closed"] and report["first"] > 1 and
              report["files"] == 3, report)
        os.remove(audited.path + ".1")
        os.rename(audited.path + ".2", audited.path + ".1")
        check(audited.path + ":1: n is" in audited.verify(status=1), "a file is missing")


@case("a broker that was killed goes on with the same chain")
def _():
    with Audited() as audited:
        audited.work(3)
        audited.broker.kill()
        with open(audited.path, "a", encoding="utf-8") as file:
            file.write('{"n":99,"at')  # as if the machine had stopped in the middle
        audited.broker.restart()
        equal(log_field(audited.broker.wait_line("audit_opened"), "torn_bytes"), "11")
        audited.worker.close()
        audited.asker.close()
        audited.connect()
        audited.work(3)
        audited.stop()
        entries = [json.loads(line) for line in audited.lines()]
        opened = [e for e in entries if e["event"] == "audit_opened"]
        equal(opened[1].get("detail"), "torn_bytes=11")
        audited.verify()


@case("a full disk stops nobody, and what was lost is counted")
def _():
    with Audited() as audited:
        audited.work(10)
        resource.prlimit(audited.broker.child.pid, resource.RLIMIT_FSIZE, (3000, -1))
        audited.work(1000)  # answered, all the same
        audited.broker.wait_line("audit_failing")
        line = audited.broker.wait_line("audit_lost")
        check(int(log_field(line, "entries")) > 0, line)
        resource.prlimit(audited.broker.child.pid, resource.RLIMIT_FSIZE, (-1, -1))
        deadline = Deadline(10)
        while "audit_lost" not in "".join(audited.lines()[-50:]) and not deadline.passed():
            audited.work(10)
        audited.broker.wait_line("audit_works_again")
        audited.stop()
        report = json.loads(audited.verify("--json"))
        check(report["good"] and report["lost"] > 0, report)
        check("were never written" in audited.verify(), "not told")


@case("a new file that cannot be begun loses nothing, and is told")
def _():
    with Audited("--audit-bytes", "64K", "--audit-files", "9") as audited:
        os.mkdir(audited.path + ".new")  # in the way of the file
        audited.work(700)
        line = audited.broker.wait_line("audit_failing")
        check("Is a directory" in line, line)
        os.rmdir(audited.path + ".new")
        audited.work(10)
        audited.broker.wait_line("audit_works_again")
        audited.stop()
        report = json.loads(audited.verify("--json"))
        check(report["good"] and report["lost"] == 0 and report["files"] > 1, report)
        check(os.path.getsize("%s.%d" % (audited.path, report["files"] - 1)) > 65536,
              "it did not go on with the old file")


def refused(*options):
    """A broker that is started so does not start. What it said."""
    done = subprocess.run([program("sluice-broker"), "--endpoint", "tcp://127.0.0.1:*", *options],
                          timeout=10, capture_output=True, text=True, check=False)
    check(done.returncode != 0, "it started: " + done.stderr)
    return done.stderr


@case("a broker whose audit cannot be written does not start")
def _():
    said = refused("--audit", "/proc/nowhere/audit.log")
    check("cannot write the audit" in said, said)


@case("two brokers do not write one audit")
def _():
    with Audited("--audit-bytes", "64K") as audited:
        for _ in range(2):
            said = refused("--audit", audited.path)
            check("in use: stop the broker that writes it" in said, said)
            audited.work(300)  # the second time it is a file that a full one has made way for
        check(os.path.exists(audited.path + ".1"), "no second file")
        audited.stop()
        check(json.loads(audited.verify("--json"))["good"], "it was written to")


@case("an audit is no store")
def _():
    with Audited() as audited:
        path = os.path.join(audited.folder, "tasks.db")
        for name in path, path + "-wal":
            said = refused("--store", path, "--audit", name)
            check("must be different files" in said, said)
            check(not os.path.exists(name), "it was made")
        audited.stop()


main()
