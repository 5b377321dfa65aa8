#!/usr/bin/python3
"""The proxy of the chaos run does the harm that its first lines describe, and no other."""
import os
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "chaos"))
sys.dont_write_bytecode = True
from director import Child, chaos_program  # noqa: E402
from sluice_test import Failure, SLOW, case, check, equal, main  # noqa: E402

WAIT_S = 10 * SLOW


class Pair:
    """A proxy before a listener of ours, and connections through it."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(WAIT_S)
        self.proxy = Child([chaos_program("fault_proxy"),
                            str(self.listener.getsockname()[1])], dict(os.environ))
        self.port = int(self.proxy.wait_line("listening").split()[1])
        self.sockets = [self.listener]
        self.said = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in self.sockets:
            each.close()
        self.proxy.bury()

    def tell(self, line, answer="ok"):
        """The proxy's answer to a command, once it has obeyed."""
        after = len(self.proxy.lines)
        self.proxy.tell(line)
        return self.proxy.wait_line(answer, after=after)

    def dial(self):
        near = socket.create_connection(("127.0.0.1", self.port), WAIT_S)
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sockets.append(near)
        return near

    def connect(self):
        """The client's and the target's end."""
        near = self.dial()
        far, _ = self.listener.accept()
        far.settimeout(WAIT_S)
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sockets.append(far)
        return near, far


    def refuses(self):
        """True if a new connection is reset, while it is made or after."""
        try:
            return is_reset(self.dial())
        except ConnectionResetError:
            return True


def receive(end, size):
    data = b""
    while len(data) < size:
        more = end.recv(size - len(data))
        if not more:
            raise Failure("it ended after %d of %d bytes" % (len(data), size))
        data += more
    return data


def is_reset(end):
    try:
        return end.recv(1) is None
    except ConnectionResetError:
        return True


def is_silent(end):
    """True if nothing is there to read, not even an end."""
    end.setblocking(False)
    try:
        end.recv(1)
    except BlockingIOError:
        return True
    finally:
        end.settimeout(WAIT_S)
    return False


@case("without a fault bytes and ends pass, in both directions")
def _():
    with Pair() as pair:
        near, far = pair.connect()
        data = os.urandom(300000)
        near.sendall(data)
        equal(receive(far, len(data)), data)
        far.sendall(data[::-1])
        equal(receive(near, len(data)), data[::-1])
        near.shutdown(socket.SHUT_WR)
        equal(far.recv(1), b"", "the end")
        far.sendall(b"late")
        equal(receive(near, 4), b"late")
        far.close()
        equal(near.recv(1), b"", "the other end")
        pair.proxy.wait_line("closed 1")


@case("delay: the other direction is not late")
def _():
    with Pair() as pair:
        near, far = pair.connect()
        equal(pair.tell("1 delay up 60000"), "ok 1")
        near.sendall(b"late")
        far.sendall(b"at once")
        equal(receive(near, 7), b"at once")


@case("delay: bytes arrive whole, in order, and not early")
def _():
    with Pair() as pair:
        near, far = pair.connect()
        equal(pair.tell("1 delay up 200"), "ok 1")
        start = time.monotonic()
        near.sendall(b"late")
        equal(receive(far, 4), b"late")
        check(time.monotonic() - start >= 0.199, "it came after %g s" % (time.monotonic() - start))


@case("rate: so many bytes take so long")
def _():
    with Pair() as pair:
        near, far = pair.connect()
        pair.tell("1 rate both 100000")
        start = time.monotonic()
        near.sendall(bytes(40000))
        receive(far, 40000)
        check(time.monotonic() - start > 0.3, "40,000 bytes took %g s" % (time.monotonic() - start))


@case("trickle: one byte a write")
def _():
    with Pair() as pair:
        near, far = pair.connect()
        pair.tell("1 trickle up")
        data = os.urandom(2000)
        near.sendall(data)
        equal(receive(far, len(data)), data)
        # TCP counts the segments: as many as bytes, but for what waited in one buffer.
        info = far.getsockopt(socket.IPPROTO_TCP, 11, 256)  # TCP_INFO
        segments_in = struct.unpack_from("I", info, 140)[0]
        check(segments_in > 500, "only %d segments for 2,000 bytes" % segments_in)


@case("pause: nothing is lost, and clear ends it")
def _():
    with Pair() as pair:
        near, far = pair.connect()
        pair.tell("1 pause up")
        near.sendall(b"held")
        pair.tell("1 clear down")  # the other direction: still paused
        far.sendall(b"x")  # what passes the other way proves that the proxy has looked
        equal(receive(near, 1), b"x")
        check(is_silent(far), "it passed a pause")
        pair.tell("1 clear up")
        equal(receive(far, 4), b"held")


@case("swallow in one direction: the other one lives")
def _():
    with Pair() as pair:
        near, far = pair.connect()
        pair.tell("1 swallow up")
        near.sendall(b"lost")
        far.sendall(b"heard")
        equal(receive(near, 5), b"heard")
        pair.tell("1 clear both")
        near.sendall(b"lost too: a hole cannot be mended")
        far.sendall(b"heard")
        equal(receive(near, 5), b"heard")
        check(is_silent(far), "swallowed bytes arrived")


@case("a half-open connection tells neither side of the other's end")
def _():
    with Pair() as pair:
        near, far = pair.connect()
        pair.tell("1 swallow both")
        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        near.close()  # RST
        other_near, other_far = pair.connect()  # the proxy has gone on
        other_near.sendall(b"x")
        equal(receive(other_far, 1), b"x")
        check(is_silent(far), "the end was passed on")
        far.sendall(b"into the void")
        check(is_silent(far), "the end was passed on")


@case("reset: both sides get RST")
def _():
    with Pair() as pair:
        near, far = pair.connect()
        other_near, other_far = pair.connect()
        equal(pair.tell("1 reset both"), "ok 1")
        check(is_reset(near) and is_reset(far), "no RST")
        other_near.sendall(b"x")
        equal(receive(other_far, 1), b"x")
        equal(pair.tell("all reset both"), "ok 1")
        check(is_reset(other_near) and is_reset(other_far), "no RST")


@case("faults of connections to come")
def _():
    with Pair() as pair:
        pair.tell("new reset both")
        check(pair.refuses(), "no RST")
        pair.tell("new clear both")
        pair.tell("new swallow up")
        near, far = pair.connect()
        near.sendall(b"lost")
        far.sendall(b"x")
        equal(receive(near, 1), b"x")
        check(is_silent(far), "swallowed bytes arrived")
        pair.tell("new clear both")
        near, far = pair.connect()
        near.sendall(b"x")
        equal(receive(far, 1), b"x")


@case("a command that it does not know changes nothing")
def _():
    with Pair() as pair:
        near, far = pair.connect()
        for line in ("", "1", "1 explode both", "1 reset"):
            pair.tell(line, "error no such command")
        equal(pair.tell("77 reset both"), "ok 0")
        near.sendall(b"x")
        equal(receive(far, 1), b"x")


@case("without a target a connection is reset, and the proxy goes on")
def _():
    with Pair() as pair:
        pair.listener.close()
        check(pair.refuses(), "no RST")
        check(pair.refuses(), "no RST")
        check(pair.proxy.running(), "the proxy has ended")


main()
