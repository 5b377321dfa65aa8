#!/usr/bin/python3
"""Broken ZMTP from raw TCP sockets at a real broker under a memory cap, as TAP.

    tests/fuzz/raw_socket.py [CASE...]

What libzmq, below us, makes of bytes that no ZeroMQ socket would send: greetings, commands and
frames of ZMTP 1.0 to 3.1 that are mutated, cut, out of order, too long, or dribble in byte by byte;
peers that announce what they never send; and multipart messages without an end. Meanwhile an honest
pair echoes and must notice nothing; the broker must live and stay below its cap.

A run is decided by its seed, but for what time does to it. Environment: SLUICE_SEED (1),
SLUICE_RAW_SECONDS of the first case (20), SLUICE_RAW_CAP_MIB (512), BUILD.
"""
import os
import random
import resource
import socket
import struct
import sys
import time

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import (ERROR, HELLO, OFFER, PING, SUBMIT, Broker, Peer, case, check, equal,
                         main, new_id, program)

SEED = int(os.environ.get("SLUICE_SEED", "1"))
SECONDS = float(os.environ.get("SLUICE_RAW_SECONDS", "20"))
MIB = 1024 * 1024
CAP_BYTES = int(os.environ.get("SLUICE_RAW_CAP_MIB", "512")) * MIB
OPEN_MAX = 12  # hostile connections at once

MORE, LONG, COMMAND = 1, 2, 4
PAUSE = b"<wait for READY>"  # where the sender waits for the other side's half of the handshake

# ---- ZMTP, https://rfc.zeromq.org/spec/23/ and /37/ ------------------------------------------


def greeting(minor=0, mechanism=b"NULL", as_server=0):
    return (b"\xff" + bytes(8) + b"\x7f" + bytes([3, minor]) + mechanism.ljust(20, b"\0") +
            bytes([as_server]) + bytes(31))


def frame(body, flags=0):
    if len(body) > 255 or flags & LONG:
        return bytes([flags | LONG]) + struct.pack(">Q", len(body)) + body
    return bytes([flags, len(body)]) + body


def property_of(name, value):
    return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value


def command(name, data=b""):
    return frame(bytes([len(name)]) + name + data, COMMAND)


def ready(identity=b"", socket_type=b"DEALER"):
    return command(b"READY", property_of(b"Socket-Type", socket_type) +
                   property_of(b"Identity", identity))


def hello():
    return frame(msgpack.packb([HELLO, 1, new_id(), "raw"]))


# ---- what a hostile connection sends ---------------------------------------------------------


def mutate(rng, data):
    """A few bytes of it changed, cut out, doubled or put in."""
    data = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0 and at < len(data):
            data[at] = rng.choice((0, 1, 2, 4, 7, 0x7f, 0x80, 0xff, rng.randrange(256)))
        elif kind == 1:
            del data[at:at + rng.randrange(1, 9)]
        elif kind == 2:
            data[at:at] = data[at:at + rng.randrange(1, 40)]
        else:
            data[at:at] = rng.randbytes(rng.randrange(1, 9))
    return bytes(data)


def handshake(rng):
    """What must come before the rest; libzmq refuses what comes before its own READY is out."""
    return greeting(rng.randrange(2)) + ready() + PAUSE


def commands(rng):
    """A batch that the protocol knows, or nearly."""
    some = [[PING, rng.randrange(9)], [OFFER, "raw.s", 1], [SUBMIT, new_id(), "raw.s", rng.randbytes(20)],
            [SUBMIT, new_id(), "raw.s", rng.randrange(3)], [rng.randrange(60)], [HELLO, 1, new_id(), "n"]]
    return b"".join(map(msgpack.packb, rng.choices(some, k=rng.randrange(1, 6))))


def broken_greeting(rng):
    return mutate(rng, greeting(rng.randrange(2), rng.choice((b"NULL", b"PLAIN", b"CURVE", b"")),
                                rng.randrange(2))) + ready()


def old_version(rng):
    """ZMTP 1.0 and 2.0, which libzmq still speaks."""
    identity = rng.randbytes(rng.choice((0, 1, 5, 254)))
    if rng.randrange(2):  # 1.0: a length, flags, the identity; then frames of that form
        body = commands(rng)[:200]
        return (bytes([len(identity) + 1, 0]) + identity + bytes([len(body) + 1, rng.randrange(2)]) +
                body)
    return (b"\xff" + bytes(7) + b"\x01\x7f" + bytes([1, rng.choice((3, 5, 6, 99))]) +
            frame(identity) + hello() + frame(commands(rng), rng.randrange(8)))


def broken_ready(rng):
    identity = rng.randbytes(rng.choice((0, 1, 4, 5, 255, 256, 1000)))
    if rng.randrange(3) == 0:
        identity = b"\0" + identity  # such ids are libzmq's own
    kind = rng.choice((b"DEALER", b"ROUTER", b"REQ", b"PUB", b"", b"X" * 300))
    good = ready(identity, kind)
    return (greeting(rng.randrange(2)) + (mutate(rng, good) if rng.randrange(2) else good) + PAUSE +
            hello() + frame(commands(rng)))


def broken_commands(rng):
    """Commands where none belong, of ZMTP 3.1 too, between the frames of a message."""
    out = handshake(rng) + hello()
    for _ in range(rng.randrange(1, 20)):
        name = rng.choice((b"READY", b"ERROR", b"PING", b"PONG", b"SUBSCRIBE", b"CANCEL", b"", b"x" * 200))
        data = rng.randbytes(rng.choice((0, 1, 2, 18, 19, 300)))
        out += command(name, data) if rng.randrange(4) else mutate(rng, command(name, data))
        out += frame(commands(rng), rng.choice((0, MORE)))
    return out


def broken_frames(rng):
    out = handshake(rng) + hello()
    for _ in range(rng.randrange(1, 30)):
        body = commands(rng) if rng.randrange(3) else rng.randbytes(rng.choice((0, 1, 255, 256, 9000)))
        out += frame(body, rng.choice((0, 0, MORE, LONG, LONG | MORE, rng.randrange(256))))
    return out if rng.randrange(2) else mutate(rng, out)


def lying_sizes(rng):
    size = rng.choice((0, 1, 254, 256, 17 * MIB, 17 * MIB + 1, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63,
                       (1 << 64) - 1))
    return (handshake(rng) + hello() +
            bytes([rng.choice((LONG, LONG | MORE, LONG | COMMAND))]) + struct.pack(">Q", size) +
            rng.randbytes(rng.randrange(2000)))


def many_frames(rng):
    """A message of more frames than the protocol allows, complete or not."""
    count = rng.choice((63, 64, 65, 1000, 5000))
    return (handshake(rng) + hello() + frame(commands(rng), MORE) +
            frame(b"f" * rng.randrange(40), MORE) * count + (frame(b"end") if rng.randrange(2) else b""))


def garbage(rng):
    return rng.randbytes(rng.randrange(1, 3000))


KINDS = (broken_greeting, old_version, broken_ready, broken_commands, broken_frames, lying_sizes,
         many_frames, garbage)


class Hostile:
    """One raw connection with bytes to send; it reads what comes, or not at all."""

    def __init__(self, rng, address):
        self.kind = rng.choice(KINDS)
        self.data, _, self.later = self.kind(rng).partition(PAUSE)
        self.heard, self.patience = b"", 200
        if rng.randrange(4) == 0:
            self.later = self.later[:rng.randrange(len(self.later) + 1)]
        self.step = rng.choice((1, 7, 64, 1 << 20))
        self.rounds = rng.randrange(300)  # how long it stays when all is said
        self.reads = rng.randrange(4) > 0
        self.resets = rng.randrange(4) == 0
        self.socket = socket.create_connection(address, timeout=5)
        self.socket.setblocking(False)

    def work(self):
        """False: it is over, and closed."""
        try:
            if self.data:
                self.data = self.data[self.socket.send(self.data[:self.step]):]
            elif self.later and (b"READY" in self.heard or self.patience == 0):
                self.data, self.later = self.later, b""
            elif self.later:
                self.patience -= 1
            else:
                self.rounds -= 1
            if self.reads or self.later:
                heard = self.socket.recv(65536)
                self.heard = (self.heard + heard)[-1000:]
                if heard == b"":
                    self.rounds = -1
        except BlockingIOError:
            pass
        except OSError:
            self.rounds = -1
        if self.rounds >= 0:
            return True
        if self.resets:  # RST instead of FIN
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
        return False


def connect(broker, identity=b""):
    """A connection that has shaken hands in good order and said HELLO."""
    peer = socket.create_connection(address_of(broker), timeout=30)
    heard = b""
    peer.sendall(greeting() + ready(identity))
    while b"READY" not in heard:
        heard += peer.recv(4096)
        check(heard != b"", "the broker does not shake hands")
    peer.sendall(hello())
    return peer


# ---- the broker and those it must go on serving -----------------------------------------------


def sanitized():
    with open(program("sluice-broker"), "rb") as file:
        return b"__asan_init" in file.read()


def cap(broker):
    """What the operator's MemoryMax does, as far as a test can: no more address space than this,
    beyond what it has mapped at its start. A sanitizer's shadow does not fit below any cap."""
    if not sanitized():
        with open("/proc/%d/statm" % broker.child.pid) as statm:
            mapped = int(statm.read().split()[0]) * resource.getpagesize()
        resource.prlimit(broker.child.pid, resource.RLIMIT_AS, (mapped + CAP_BYTES,) * 2)


def address_of(broker):
    host, port = broker.endpoint.split("//")[1].rsplit(":", 1)
    return host, int(port)


class Pair:
    """Two honest peers; every echo is checked and timed."""

    def __init__(self, broker):
        self.worker, self.asker = Peer(broker, "honest-worker"), Peer(broker, "honest-asker")
        self.worker.offer("honest.echo", 4)
        self.count, self.slowest = 0, 0.0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.worker.close()
        self.asker.close()

    def echo(self):
        start = time.monotonic()
        task = self.asker.submit("honest.echo", b"still here")
        equal(self.worker.serve_one(), task, "task at the worker")
        equal(self.asker.result(task).body, b"still here", "echo")
        self.count += 1
        self.slowest = max(self.slowest, time.monotonic() - start)

    def quiet(self):
        self.worker.ping()
        self.asker.ping()
        self.worker.nothing(ERROR)
        self.asker.nothing(ERROR)


# ---- cases ------------------------------------------------------------------------------------


@case("broken ZMTP for %g s from seed %d: the broker lives, honest peers notice nothing" % (SECONDS, SEED))
def _():
    with Broker() as broker, Pair(broker) as pair:
        cap(broker)
        address, hostile, counts, peak = address_of(broker), [], {}, 0
        rng = random.Random(SEED)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            while len(hostile) < OPEN_MAX:
                peer = Hostile(random.Random(rng.randrange(1 << 60)), address)
                counts[peer.kind.__name__] = counts.get(peer.kind.__name__, 0) + 1
                hostile.append(peer)
            for _ in range(20):
                hostile = [peer for peer in hostile if peer.work()]
            check(broker.running(), "the broker ended: %s" % broker.output()[-2000:])
            pair.echo()
            peak = max(peak, broker.memory_bytes())
        for peer in hostile:
            peer.socket.close()
        pair.echo()
        pair.quiet()
        print("# %d connections (%s)" % (sum(counts.values()), ", ".join(
            "%s %d" % item for item in sorted(counts.items()))))
        print("# broker: %.1f MiB at most; %d echoes meanwhile, the slowest %.0f ms" %
              (peak / MIB, pair.count, 1000 * pair.slowest))
        check(peak < CAP_BYTES / 2, "the broker took %.1f MiB" % (peak / MIB))
        check(len(counts) == len(KINDS), "not every kind of connection was made")


@case("frames that are announced and never come cost next to nothing")
def _():
    with Broker() as broker, Pair(broker) as pair:
        before = broker.memory_bytes()
        sockets = []
        for _ in range(50):  # 850 MiB, were they believed
            peer = connect(broker)
            peer.sendall(bytes([LONG]) + struct.pack(">Q", 17 * MIB))
            sockets.append(peer)
        for _ in range(200):
            pair.echo()
        grown = broker.memory_bytes() - before
        print("# 50 x 17 MiB announced: the broker grew by %.1f MiB" % (grown / MIB))
        for peer in sockets:
            peer.close()
        check(sanitized() or grown < 20 * MIB, "the broker grew by %.1f MiB" % (grown / MIB))
        pair.quiet()


@case("an endless multipart costs what was sent, and its memory is used again")
def _():
    """The limit that we know: libzmq keeps the frames of a message until its last one has come, and
    bounds neither their number nor their sum. Below the cap this must do no harm."""
    with Broker() as broker, Pair(broker) as pair:
        cap(broker)
        before, sent = broker.memory_bytes(), 0
        peer = connect(broker)
        chunk = frame(b"e" * 8000, MORE) * 16
        while sent < CAP_BYTES // 4:
            peer.sendall(chunk)
            sent += len(chunk)
            if sent // len(chunk) % 64 == 0:
                pair.echo()
                check(broker.running(), "the broker ended")
        for _ in range(50):
            pair.echo()
        grown = broker.memory_bytes() - before
        print("# %.0f MiB of one message: the broker grew by %.0f MiB; slowest echo %.0f ms" %
              (sent / MIB, grown / MIB, 1000 * pair.slowest))
        check(sanitized() or grown < 2 * sent, "the broker grew by more than twice what was sent")
        peer.close()
        grown = []
        for _ in range(3):  # malloc may keep what was freed; what counts is that it is used again
            peer = connect(broker)
            for _ in range(sent // len(chunk)):
                peer.sendall(chunk)
            for _ in range(20):
                pair.echo()
            grown.append(broker.memory_bytes() - before)
            peer.close()
        print("# and three times more: %s MiB" % ", ".join("%.0f" % (g / MIB) for g in grown))
        check(sanitized() or max(grown) < 2 * sent, "the memory of ended messages is not used again")
        pair.quiet()


@case("a routing id longer than ZMTP allows is a stranger's, like any other")
def _():
    with Broker() as broker, Pair(broker) as pair:
        for size in (1, 4, 5, 254, 255, 256, 257, 1000, 100000):
            connect(broker, b"i" * size).close()
            pair.echo()
        pair.quiet()


@case("beyond its cap the broker drops the connection or dies, and goes on serving when started again")
def _():
    """Nothing that a ROUTER offers can stop this from inside; so the cap (MemoryMax= in the unit)
    protects the machine, and the supervisor and the resending runtimes the tasks."""
    if sanitized():
        print("# the cap cannot be set under sanitizers")
        return
    with Broker(expect_exit=True) as broker:
        cap(broker)
        peer = connect(broker)
        chunk, sent = frame(b"e" * 8000, MORE) * 16, 0
        try:
            while sent < 4 * CAP_BYTES:
                peer.sendall(chunk)
                sent += len(chunk)
        except OSError:
            pass  # dropped, or dead, or (a timeout) not read any more
        peer.close()
        check(sent < 2 * CAP_BYTES, "the broker took %.0f MiB, more than its cap" % (sent / MIB))
        print("# after %.0f MiB of one message the broker %s" %
              (sent / MIB, "lives" if broker.running() else "is dead"))
        if not broker.running():
            broker.restart()
        with Pair(broker) as pair:
            pair.echo()
            pair.quiet()
        equal(broker.stop(), 0, "exit status")


main()
