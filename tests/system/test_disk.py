#!/usr/bin/python3
"""The disk under the store of durable tasks fails, or is full: what was accepted is not lost, no
receipt is false, and what is not durable goes on."""
import errno
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import (ACCEPTED, BUILD, DONE, RESULT, SUBMIT, TASK, Broker, Deadline,
                         DurableBroker, Peer, case, check, equal, main, new_id, program, run,
                         sluice)

# How long the disk is full.
FULL_SECONDS = float(os.environ.get("SLUICE_FULL_SECONDS", "1"))
PRELOAD = os.path.join(BUILD, "tests", "system", "failing_disk.so")


def a_disk_fails(call):
    """`call`: sync or write."""
    with DurableBroker("--drain-ms", "5000", expect_exit=True, environment={
            "LD_PRELOAD": PRELOAD, "FAILING_DISK": "/nowhere",
            "ASAN_OPTIONS": "verify_asan_link_order=0"}) as broker:
        broker.kill()  # now that its directory is known
        switch = os.path.join(broker.directory, "fails")
        broker.environment["FAILING_DISK"] = switch
        broker.restart()
        with Peer(broker, "asker") as asker, Peer(broker, "worker") as worker:
            worker.offer("work", 10)
            safe = [asker.submit("later", b"n", durable=True, detached=True, receipts=True,
                                 if_absent="wait") for _ in range(20)]
            for _ in safe:
                asker.wait(ACCEPTED)
            volatile = asker.submit("work", b"v")
            held = worker.task()
            with open(switch, "w") as file:
                file.write(call)
            unsafe = asker.submit("later", b"n", durable=True, detached=True, receipts=True,
                                  if_absent="wait")
            broker.wait_line("store_state state=lost")
            late = asker.submit("work", b"n", durable=True)
            refusal = asker.result(late)
            equal(refusal.outcome, "refused")
            check(refusal.body["code"] in ("store_unavailable", "draining"), refusal)
            worker.done(held, b"\xc0")  # what is not durable goes on
            equal(asker.result(volatile).outcome, "done")
            check(not [c for c in asker.inbox if c.code in (ACCEPTED, RESULT) and
                       bytes(c[1]) == unsafe], "it was told something of what is not safe")
        equal(broker.wait_exit(), 1)
        os.unlink(switch)
        broker.restart()
        for task in safe:
            equal(json.loads(sluice(broker, "status", str_id(task), "--json"))["state"], "ready")
        equal(json.loads(sluice(broker, "stats", "--json"))["store"], "open")
        equal(broker.stop(), 0)


def str_id(task):
    digits = bytes(task).hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


@case("a sync that fails ends the broker, and nothing that was accepted")
def _():
    a_disk_fails("sync")


@case("a write that fails ends the broker, and nothing that was accepted")
def _():
    a_disk_fails("write")


# ------------------------------------------------------------------------ full

class SmallDisk(DurableBroker):
    """Its directory is a small file system of its own, which nobody else sees."""

    MOUNT = 'mount -t tmpfs -o size=96m none "$0" && exec "$@"'

    def _start(self, endpoints):
        self.wrapper = ["unshare", "-rm", "sh", "-c", self.MOUNT, self.directory]
        super()._start(endpoints)

    def fill(self):
        with open(self.ballast, "wb", buffering=0) as file:
            try:
                while file.write(b"x" * 65536) == 65536:
                    pass
            except OSError as error:
                equal(error.errno, errno.ENOSPC)

    def make_room(self):
        os.unlink(self.ballast)

    @property
    def ballast(self):
        return "/proc/%d/root%s/ballast" % (self.child.pid, self.directory)


def can_mount():
    return subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"],
                          capture_output=True, check=False).returncode == 0


class Load:
    """A submitter with about so many durable tasks under way, and their worker."""

    def __init__(self, broker, asker, worker, window=200):
        self.broker, self.asker, self.worker = broker, asker, worker
        self.window, self.open, self.accepted = window, {}, set()
        self.done = self.refused = 0
        self.again_at = self.next_s = 0
        worker.offer("work", 1000)

    def submit(self):
        """As many as there is room for, and one more now and then: what is under way waits while the
        disk is full, and only what is new is refused."""
        fresh = [new_id() for _ in range(self.window - len(self.open))]
        if time.monotonic() >= self.next_s:
            self.next_s = time.monotonic() + 0.1
            self.asker.ping()  # neither is silent for long
            self.worker.ping()
            fresh.append(new_id())
        self.open.update((task, None) for task in fresh)
        if fresh:
            self.asker.send(*[[SUBMIT, task, "work", b"p" * 500,
                               {"durable": True, "receipts": True}] for task in fresh])

    def hear(self, command):
        task = bytes(command[1])
        if command.code == ACCEPTED:
            self.accepted.add(task)
        elif command.code == RESULT and command.outcome == "refused":
            equal(command.body["code"], "store_unavailable")
            check(task not in self.accepted, "what was accepted is refused")
            check(command.body["retry_after_ms"] > 0, "it is not said when to come again")
            del self.open[task]
            self.refused += 1
            self.again_at = time.monotonic() + command.body["retry_after_ms"] / 1000
        elif command.code == RESULT:
            equal(command.outcome, "done")
            del self.open[task]  # once
            self.accepted.discard(task)
            self.done += 1

    def run(self, until, submit=True):
        """Until that is true; how many were done."""
        before = self.done
        while not until():
            if submit and time.monotonic() >= self.again_at:
                self.submit()
            self.asker._receive(0.002)
            self.worker._receive(0.002)
            answers = []
            while self.worker.inbox:
                command = self.worker.inbox.popleft()
                if command.code == TASK:
                    answers.append([DONE, bytes(command[1]), command[2], b"\xc0"])
            if answers:
                self.worker.send(*answers)
            while self.asker.inbox:
                self.hear(self.asker.inbox.popleft())
        return self.done - before


def is_full(broker):
    return json.loads(sluice(broker, "stats", "--json"))["store"] == "full"


def rate(load, seconds):
    """Tasks a second."""
    return load.run(Deadline(seconds).passed) / seconds


@case("the disk is full for %g s under load" % FULL_SECONDS)
def _():
    if not can_mount():
        print("# skipped: no file system may be mounted here")
        return
    measured = max(1.0, FULL_SECONDS / 6)
    with SmallDisk() as broker, Peer(broker, "asker") as asker, Peer(broker, "worker") as worker:
        before = rate(Load(broker, asker, worker), measured)
    with SmallDisk() as broker, Peer(broker, "asker") as asker, Peer(broker, "worker") as worker:
        load = Load(broker, asker, worker)
        load.run(lambda: load.done > 1000)
        equal(load.refused, 0)
        broker.fill()  # before the log has all the room that it ever needs
        deadline = Deadline(20)
        load.run(lambda: load.refused > 0 or deadline.passed())
        check(load.refused > 0 and is_full(broker), "nothing was refused")
        meanwhile = load.run(Deadline(FULL_SECONDS).passed)
        with Peer(broker, "other") as other:
            other.offer("volatile", 1)
            task = other.submit("volatile", b"v")
            equal(other.serve_one(), task)
            equal(other.result(task).outcome, "done")
        check(is_full(broker), "it is not full any more")
        broker.make_room()
        done, since = load.done, time.monotonic()
        deadline = Deadline(30)
        load.run(lambda: load.done > done + load.window or deadline.passed())
        check(load.done > done + load.window, "it does not go on")
        waited = time.monotonic() - since
        after = rate(load, measured)
        deadline = Deadline(30)
        load.run(lambda: not load.open or deadline.passed(), submit=False)
        equal((len(load.open), len(load.accepted)), (0, 0), "tasks that never ended")
        print("# %.0f tasks a second before, %.0f after; %d refusals and %d done while it was full, "
              "%.2f s until it went on" % (before, after, load.refused, meanwhile, waited))


@case("a store on a read-only file system is named as such")
def _():
    if not can_mount():
        print("# skipped: no file system may be mounted here")
        return
    with tempfile.TemporaryDirectory() as folder:
        store = os.path.join(folder, "store")
        with Broker("--store", store):
            pass
        frozen = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
        for command in ([program("sluice"), "store", "check", store],
                        [program("sluice-broker"), "--store", store, "-e",
                         "ipc://%s/never" % folder]):
            status, said = run(["unshare", "-rm", "sh", "-c", frozen, folder, *command])
            check(status != 0 and "read-only" in said, said)


if __name__ == "__main__":
    main()
