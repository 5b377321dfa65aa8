#!/usr/bin/python3
"""What a hostile or broken peer sends is answered or ignored, and nobody else notices.

SLUICE_FLOOD_TASKS: size of the flood (1,000,000; a tenth under sanitizers).
SLUICE_FRAMES: how many random frames (100,000). SLUICE_SEED: where they start (1).
"""
import os
import random
import socket
import subprocess
import sys
import time

import msgpack
import zmq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import (BYE, CANCEL, CREDIT, DONE, ERROR, FAIL, HELLO, OFFER, PING, PROGRESS, QUERY,
                         REPLY, RESULT, SUBMIT, WELCOME, WITHDRAW, Broker, Deadline, Failure,
                         Peer, case, check, equal, main, new_id, program)

MIB = 1024 * 1024


def sanitized():
    with open(program("sluice-broker"), "rb") as file:
        return b"__asan_init" in file.read()


SANITIZED = sanitized()
FLOOD_TASKS = int(os.environ.get("SLUICE_FLOOD_TASKS", "100000" if SANITIZED else "1000000"))
FRAMES = int(os.environ.get("SLUICE_FRAMES", "100000"))
SEED = int(os.environ.get("SLUICE_SEED", "1"))


class Pair:
    """Two well-behaved peers that must not notice anything: each echo is checked."""

    def __init__(self, broker):
        self.worker, self.asker = Peer(broker, "honest-worker"), Peer(broker, "honest-asker")
        self.worker.offer("honest.echo", 4)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.worker.close()
        self.asker.close()

    def echo(self, payload=b"still here"):
        task = self.asker.submit("honest.echo", payload)
        equal(self.worker.serve_one(), task, "task at the worker")
        result = self.asker.result(task)
        equal((result.outcome, result.body), ("done", payload), "echo")

    def quiet(self):
        """Neither of them was told of anything wrong."""
        self.worker.ping()
        self.asker.ping()
        self.worker.nothing(ERROR)
        self.asker.nothing(ERROR)

    def times_ms(self, seconds, least=200):
        """Round trips, one after the other, for so long: sorted milliseconds."""
        times, deadline = [], time.monotonic() + seconds
        while time.monotonic() < deadline or len(times) < least:
            start = time.perf_counter()
            self.echo(b"x" * 64)
            times.append(1000 * (time.perf_counter() - start))
        return sorted(times)


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def memory_peak_bytes(process):
    with open("/proc/%d/status" % process.child.pid) as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


# ---- the flood: this file, started with --flood --------------------------------------------

def flood(endpoint, service, count):
    """Submits `count` tasks of 1 KiB as fast as it can; prints what came back, by code."""
    peer = Peer(endpoint, "flooder")
    head = msgpack.packb([SUBMIT])[1:]
    tail = msgpack.packb(service) + msgpack.packb(b"f" * 1024)
    refused, without_time, sent, back = {}, 0, 0, 0
    per_message = 100
    while sent < count:
        commands = [b"\x94" + head + b"\xc4\x10" + new_id() + tail
                    for _ in range(min(per_message, count - sent))]
        peer.send_raw(b"".join(commands), seconds=60)
        sent += len(commands)
        while peer._receive(0):
            for command in peer.inbox:
                if command.code == RESULT and command.outcome == "refused":
                    back += 1
                    code = command.body["code"]
                    refused[code] = refused.get(code, 0) + 1
                    without_time += not command.body.get("retry_after_ms")
            peer.inbox.clear()
    print("sent", flush=True)
    peer.ping(120)  # every answer is before this one
    for command in peer.inbox:
        if command.code == RESULT and command.outcome == "refused":
            refused[command.body["code"]] = refused.get(command.body["code"], 0) + 1
            without_time += not command.body.get("retry_after_ms")
    print(repr({"refused": refused, "without_retry_after": without_time}), flush=True)


FLOOD_CONFIG = """
limits
    window_tasks = 4000000
    window_bytes = 8G
services
    flood.sink
        max_tasks = 10000
        max_bytes = 16M
"""


@case("%d tasks of 1 KiB to a full queue: typed refusals, bounded memory, others go on" % FLOOD_TASKS)
def _():
    with Broker(config=FLOOD_CONFIG) as broker, Pair(broker) as pair, Peer(broker, "watcher") as watcher:
        alone = pair.times_ms(2)
        flooder = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--flood", broker.endpoint,
                                    "flood.sink", str(FLOOD_TASKS)], stdout=subprocess.PIPE, text=True)
        try:
            during = []
            deadline = Deadline(240)
            while flooder.poll() is None:
                check(not deadline.passed(), "the flood did not end")
                during += pair.times_ms(0.5, least=1)
                watcher.ping()  # or it is lost as silent, where this takes long
            output = flooder.stdout.read()
        finally:
            flooder.kill()
            flooder.wait()
            flooder.stdout.close()
        equal(flooder.returncode, 0, "exit status of the flooder")
        said = eval(output.splitlines()[-1], {}, {})
        during.sort()
        print("# others: p50 %.2f ms alone, %.2f ms meanwhile; p99 %.2f, %.2f: %.1f times (%d round trips)" %
              (percentile(alone, 0.5), percentile(during, 0.5), percentile(alone, 0.99),
               percentile(during, 0.99), percentile(during, 0.99) / percentile(alone, 0.99), len(during)))
        print("# broker: %.1f MiB at most; %s" % (memory_peak_bytes(broker) / MIB, said))
        check(list(said["refused"]) == ["queue_full"], "refused with %s" % said["refused"])
        equal(said["refused"]["queue_full"], FLOOD_TASKS - 10000, "refusals")
        equal(said["without_retry_after"], 0, "refusals without retry_after_ms")
        check(SANITIZED or memory_peak_bytes(broker) < 100 * MIB,
              "broker took %.1f MiB" % (memory_peak_bytes(broker) / MIB))
        check(len(during) >= 100, "only %d round trips of others meanwhile" % len(during))
        pair.quiet()
        watcher.ping()


def deafen(broker, pair, make_batch, batches):
    """A peer that sends what asks for answers and never reads one: in the end it is let go."""
    with Peer(broker, "deaf", RCVHWM=10, RCVBUF=4096) as deaf:
        deaf.socket.setsockopt(zmq.SNDTIMEO, 2000)
        for number in range(batches):
            try:
                deaf.socket.send(make_batch())
            except zmq.Again:
                break  # nobody reads this connection any more
            if number % 10 == 0:
                pair.echo()
            if pair.asker.query("stats")["peers_lost"]:
                break
        lost = pair.asker.query("stats")["peers_lost"]
        print("# let go after %d messages; broker: %.1f MiB at most" %
              (number + 1, memory_peak_bytes(broker) / MIB))
        equal(lost, 1, "peers lost, after %d messages" % (number + 1))
    pair.echo()
    check(SANITIZED or memory_peak_bytes(broker) < 200 * MIB,
          "broker took %.1f MiB" % (memory_peak_bytes(broker) / MIB))
    pair.quiet()


@case("a flooder that never reads is let go, not waited for")
def _():
    with Broker(config=FLOOD_CONFIG) as broker, Pair(broker) as pair:
        deafen(broker, pair, lambda: b"".join(
            msgpack.packb([SUBMIT, new_id(), "flood.sink", b"f" * 1024]) for _ in range(500)), 3000)


@case("a peer that asks and never reads is let go, and slows nobody")
def _():
    with Broker() as broker, Pair(broker) as pair:
        for number in range(50):  # answers of some 50 KiB each
            pair.worker.send([OFFER, "honest.%02d" % number, 1, {"about": "a" * 1024}])
        batch = b"".join(msgpack.packb([QUERY, n + 1, "catalog"]) for n in range(20))
        deafen(broker, pair, lambda: batch, 3000)


# ---- garbage ----------------------------------------------------------------------------------

def some_value(rng, depth=0):
    """Any MessagePack value, often at a bound."""
    kind = rng.randrange(12 if depth < 3 else 8)
    if kind < 2:
        return rng.choice([0, 1, 2, 63, 64, 255, 65535, 65536, 2**31, 2**32, 2**63, 2**64 - 1, -1, -2**63])
    if kind < 4:
        return rng.randbytes(rng.choice([0, 1, 15, 16, 16, 16, 17, 64, 300]))
    if kind < 6:
        return rng.choice(["", "a", "garbage.7", "x" * 128, "x" * 129, "a b", "\x00", "catalog", "all"])
    if kind == 6:
        return rng.choice([None, True, False, 1.5, float("nan")])
    if kind == 7:
        return msgpack.ExtType(rng.randrange(128), rng.randbytes(4))
    if kind < 10:
        return [some_value(rng, depth + 1) for _ in range(rng.randrange(5))]
    keys = ["deadline_ms", "queue_ttl_ms", "lease_ms", "attempts", "parent", "parent_attempt", "receipts",
            "held", "if_absent", "join", "needs", "schema", "about", "max_tasks", "max_bytes", "code",
            "message", "retryable", "retry_after_ms", "agent", "?"]
    return {rng.choice(keys): some_value(rng, depth + 1) for _ in range(rng.randrange(4))}


def some_command(rng, ids):
    """A command that could be right, with some fields that are not."""
    one = rng.choice(ids)
    # Never the services of the honest pair: these may be valid by chance, and then it is no garbage.
    service = rng.choice(["garbage.%d" % rng.randrange(50), "", "x" * 128])
    number = rng.choice([0, 1, 2, 7, 100, 65535, 65536])
    commands = [
        [HELLO, rng.choice([0, 1, 2, 99]), rng.randbytes(16), "hostile", {}],
        [OFFER, service, number, {"max_tasks": number}], [WITHDRAW, service], [CREDIT, service, number],
        [SUBMIT, one, service, rng.randbytes(rng.randrange(40)), {"if_absent": "wait", "attempts": number}],
        [SUBMIT, one, "", b"", {"join": rng.choice(["all", "settled", "none"]), "needs": rng.sample(ids, 3)}],
        [SUBMIT, one, service, b"", {"parent": rng.choice(ids), "parent_attempt": number}],
        [CANCEL, one, "reason", number], [DONE, one, number, b"result"],
        [FAIL, one, number, {"code": "x", "message": "y", "retryable": True}],
        [PROGRESS, one, number, b""], [QUERY, number, rng.choice(["catalog", "peers", "status", "why", "tree",
                                                                  "result", "stats", "?"]), one],
        [PING, number], [rng.randrange(256), one, number], [rng.choice([9, 11, 12, 14, 32, 35, 36, 44])],
    ]
    command = rng.choice(commands)
    if rng.random() < 0.3:
        command[rng.randrange(len(command))] = some_value(rng)
    if rng.random() < 0.1:
        command = command[:rng.randrange(len(command) + 1)]
    if rng.random() < 0.1:
        command += [some_value(rng) for _ in range(rng.randrange(40))]
    return command


def mutate(rng, data):
    """A few bits, cuts, repeats."""
    data = bytearray(data)
    for _ in range(rng.choice([0, 0, 1, 1, 2, 8])):
        if not data:
            break
        at = rng.randrange(len(data))
        action = rng.randrange(4)
        if action == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif action == 1:
            data[at] = rng.choice([0x00, 0x7f, 0x80, 0x90, 0x9f, 0xc0, 0xc1, 0xc4, 0xc6, 0xd9, 0xdb, 0xdc,
                                   0xdd, 0xde, 0xdf, 0xff])
        elif action == 2:
            del data[at:]
        else:
            data[at:at] = data[at:at + rng.randrange(16)]
    return bytes(data)


def some_message(rng, ids):
    """The frames of one hostile message."""
    if rng.random() < 0.2:
        frames = [rng.randbytes(rng.randrange(200))]
    else:
        frames = [mutate(rng, b"".join(msgpack.packb(some_command(rng, ids))
                                       for _ in range(rng.choice([1, 1, 1, 3, 10]))))]
    while rng.random() < 0.1:
        frames.append(rng.randbytes(rng.randrange(100)))
    return frames


@case("%d random and mutated frames (seed %d): an honest pair goes on" % (FRAMES, SEED))
def _():
    rng = random.Random(SEED)
    ids = [rng.randbytes(16) for _ in range(64)]
    with Broker() as broker, Pair(broker) as pair:
        sent, peers = 0, []
        try:
            while sent < FRAMES:
                # One fifth of the hostile never says HELLO; they come and go.
                while len(peers) < 4:
                    peers.append(Peer(broker, "hostile", hello=False))
                    if rng.random() < 0.8:
                        peers[-1].send([HELLO, 1, peers[-1].session, "hostile"])
                for peer in peers:
                    for _ in range(25):
                        frames = some_message(rng, ids)
                        peer.send_raw(*frames)
                        sent += len(frames)
                    while peer.socket.poll(0):
                        peer.socket.recv_multipart()
                if rng.random() < 0.05:
                    peers.pop(rng.randrange(len(peers))).close()
                pair.echo(rng.randbytes(32))
        finally:
            for peer in peers:
                peer.close()
        pair.quiet()
        print("# %d frames; the broker counted %d bad messages" %
              (sent, pair.asker.query("stats")["bad_messages"]))


@case("bytes that are no message are answered with the field at fault")
def _():
    with Broker() as broker, Pair(broker) as pair, Peer(broker, "hostile") as hostile:
        for data, field in ((b"\xc1", "batch"), (b"\xff", "batch"), (b"hello", "batch"),
                            (b"\x80", "batch"), (b"\xdd\xff\xff\xff\xff", "batch"),
                            (msgpack.packb([PING, 1])[:-1] + b"\xcf\x00", "batch")):
            hostile.send_raw(data)
            error = hostile.wait(ERROR)
            check(error.error["code"] in ("bad_message", "too_large"), "code of %r: %s" % (data, error))
            equal(error.field(3, ""), field, "field at fault in %r" % data)
        for command, field in (([OFFER, "bad name!", 1], "service"), ([OFFER, "a", 65536], "credit"),
                               ([OFFER, "a", -1], "credit"), ([SUBMIT, b"short", "a", b""], "id"),
                               ([SUBMIT, new_id(), "a", "text"], "payload"),
                               ([SUBMIT, new_id(), "a", b"", {"attempts": "x"}], "attempts"),
                               ([SUBMIT, new_id(), "a", b"", {"attempts": 101}], "attempts"),
                               ([SUBMIT, new_id(), "a", 1], "payload"),
                               ([SUBMIT, new_id(), "x" * 129, b""], "service"),
                               ([CANCEL, new_id(), "r" * 257], "reason"),
                               ([QUERY, 1, 7], "what")):
            hostile.send(command)
            error = hostile.wait(ERROR)
            check(error.error["code"] in ("bad_message", "too_large"), "code for %s: %s" % (command, error))
            equal((error.field(2), error.field(3)), (command[0], field), "command and field")
            check(error.error["message"], "no message for people")
        hostile.ping()  # and it is still served
        pair.echo()
        pair.quiet()


@case("what comes after a bad command of a batch is still read")
def _():
    with Broker() as broker, Peer(broker, "hostile") as hostile:
        hostile.send([OFFER, "bad name!", 1], [PING, 77])
        equal(hostile.wait(ERROR).field(3), "service")
        hostile.wait(43, lambda c: c[1] == 77)


@case("oversized batches, payloads and messages are refused by name")
def _():
    with Broker() as broker, Pair(broker) as pair, Peer(broker, "hostile") as hostile:
        hostile.send_raw(msgpack.packb([PING, 1]) * (2 * MIB // 2))
        equal(hostile.wait(ERROR, seconds=20).error["code"], "too_large", "of a batch of 2 MiB")
        hostile.send([SUBMIT, new_id(), "honest.echo", 1], frames=[b"x" * (16 * MIB + 1)])
        result = hostile.wait(ERROR, seconds=20)
        equal((result.error["code"], result.field(3)), ("too_large", "payload"), "of 16 MiB and a byte")
        hostile.send_raw(msgpack.packb([PING, 1]), *([b"x"] * 64))
        error = hostile.wait(ERROR)
        equal((error.error["code"], error.field(3)), ("too_large", "frames"), "of 65 frames")
        hostile.send([SUBMIT, new_id(), "honest.echo", b"", {str(n): 0 for n in range(65)}])
        check(hostile.wait(ERROR).error["code"] in ("too_large", "bad_message"), "option map of 65")
        deep = b"\x91" * 100000 + b"\x90"
        hostile.send_raw(deep)
        check(hostile.wait(ERROR).error["code"] in ("too_large", "bad_message"), "nesting of 100,000")
        hostile.ping()
        with Peer(broker, "huge") as huge:
            try:  # the connection is closed below us, perhaps while we still send
                huge.send([SUBMIT, new_id(), "honest.echo", 1], frames=[b"x" * (24 * MIB)])
            except Failure:
                pass
            pair.echo()
        pair.echo(b"y" * (4 * MIB))  # large is fine, too large is not
        pair.quiet()


@case("connections that do not speak ZeroMQ, or stop in the middle of it, harm nobody")
def _():
    rng = random.Random(SEED)
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + b"\x00" + bytes(31)
    ready = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
    speeches = [b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", greeting[:11], greeting,
                greeting + ready[:7], greeting + b"\x04\xff" * 8, greeting + b"\x06" + b"\xff" * 8,
                greeting + ready + b"\x02\x7f\xff\xff\xff\xff\xff\xff\xff"]
    with Broker() as broker, Pair(broker) as pair:
        host, port = broker.endpoint[6:].split(":")
        held = []
        try:
            for number in range(200):
                connection = socket.create_connection((host, int(port)), 10)
                held.append(connection)
                speech = speeches[number % len(speeches)] if number % 3 else rng.randbytes(rng.randrange(300))
                try:
                    connection.sendall(speech)
                except OSError:
                    pass  # it has hung up already
                if number % 4 == 0:
                    held.pop(rng.randrange(len(held))).close()
                pair.echo()
        finally:
            for connection in held:
                connection.close()
        pair.echo()
        pair.quiet()


@case("nothing but HELLO is heard from a connection without a session")
def _():
    with Broker() as broker, Pair(broker) as pair, Peer(broker, "premature", hello=False) as premature:
        task = new_id()
        for command in ([OFFER, "honest.echo", 100], [SUBMIT, task, "honest.echo", b"x"], [PING, 1],
                        [QUERY, 1, "stats"], [CANCEL, task], [BYE], [DONE, task, 1, b""]):
            premature.send(command)
            equal(premature.wait(ERROR).error["code"], "hello_required", "answer to %s" % command)
        premature.nothing(REPLY)
        equal(pair.asker.query("catalog")["services"][0]["workers"], 1, "workers of honest.echo")
        check(pair.asker.query("stats")["submitted"] == 0, "its SUBMIT was heard")
        premature.hello()
        premature.ping()
        pair.quiet()


@case("nobody can end, cancel, adopt or hijack what is another peer's")
def _():
    with Broker() as broker, Pair(broker) as pair, Peer(broker, "thief") as thief:
        task = pair.asker.submit("honest.echo", b"mine")
        held = pair.worker.task()
        thief.send([DONE, task, 1, b"stolen"], [FAIL, task, 1, {"code": "stolen", "message": "x"}],
                   [PROGRESS, task, 1, b"stolen"])
        thief.ping()
        # A child of somebody else's attempt is refused; so is somebody else's id.
        child = thief.submit("honest.echo", b"", parent=task, parent_attempt=1)
        equal(thief.result(child).outcome, "refused", "a child of another worker's task")
        thief.submit("honest.echo", b"x", task=task)
        result = thief.result(task)
        equal((result.outcome, result.body["code"]), ("refused", "conflict"), "another's id")
        # An answer for a wrong attempt is nobody's.
        pair.worker.send([DONE, task, 2, b"wrong attempt"], [DONE, task, 0, b"wrong attempt"])
        pair.worker.ping()
        pair.asker.ping()
        pair.asker.nothing(RESULT)
        pair.worker.done(held, b"mine")
        equal(pair.asker.result(task).body, b"mine")
        check(pair.asker.query("stats")["stale"] >= 4, "stale answers were not counted")
        # A second session on one connection is a conflict, not a take-over.
        thief.send([HELLO, 1, new_id(), "other"])
        error = thief.wait(ERROR)
        equal((error.error["code"], error.field(3)), ("conflict", "session"), "second session")
        thief.nothing(WELCOME)
        pair.echo()
        pair.quiet()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--flood"]:
        flood(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main()
