"""The harness of the system tests: real brokers, real sockets, no sleeps.

A test file is a program:

    import os, sys
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
    from sluice_test import Broker, Peer, case, check, equal, main

    @case("a task comes back")
    def _():
        with Broker() as broker, Peer(broker, "worker") as worker, Peer(broker, "asker") as asker:
            worker.offer("echo", 8)
            task = asker.submit("echo", b"hi")
            equal(worker.serve_one(), task)
            equal(asker.result(task).body, b"hi")

    main()

It prints TAP (`ok 1 - name`, `not ok 2 - name: why`) and exits non-zero if a case failed.
Every wait has a deadline and waits for an event: a line of a log, a message, an exit.

Environment: BUILD is the build directory (default `build`), SLUICE_SLOW multiplies every
deadline (sanitizer builds, small machines).

Peer speaks proto/PROTOCOL.md directly, with python3-zmq and python3-msgpack alone: it is a
second implementation of the protocol, not a user of libsluice.
"""
import collections
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import msgpack
import zmq

from ports import free_port  # noqa: F401, for those who import it from here

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
SLOW = max(1.0, float(os.environ.get("SLUICE_SLOW", "1")))

# Command codes, PROTOCOL.md section 3.
HELLO, OFFER, WITHDRAW, CREDIT, SUBMIT, CANCEL, DONE, FAIL = 1, 2, 3, 4, 5, 6, 7, 8
PROGRESS, CHECKPOINT, QUERY, PING, BYE, CONTROL = 10, 11, 13, 15, 16, 18
WELCOME, ACCEPTED, STARTED, TASK, RESULT = 32, 33, 34, 35, 36
PROGRESS_OUT, CANCEL_OUT, REPLY, PONG, ERROR = 38, 39, 41, 43, 44
OUTCOMES = ("done", "failed", "cancelled", "expired", "refused")

INLINE_MAX = 8192  # larger payloads travel in frames of their own
# Positions of payload fields; an integer there names a frame of the message.
PAYLOADS = {TASK: (4,), RESULT: (3, 8), PROGRESS_OUT: (3,)}


class Failure(AssertionError):
    """What a case raises when the program under test is wrong."""


# ------------------------------------------------------------------- checks

def check(condition, why):
    if not condition:
        raise Failure(why)


def equal(got, expected, what="value"):
    if got != expected:
        raise Failure("%s is %s, expected %s" % (what, shorten(got), shorten(expected)))


def shorten(value):
    text = repr(value)
    return text if len(text) <= 200 else "%s... (%d characters)" % (text[:200], len(text))


class Deadline:
    """`seconds` from now, stretched by SLUICE_SLOW."""

    def __init__(self, seconds):
        self.at = time.monotonic() + seconds * SLOW

    def left(self):
        return max(0.0, self.at - time.monotonic())

    def passed(self):
        return self.left() == 0.0


def program(name):
    return os.path.join(BUILD, "bin", name)


def new_id():
    """16 bytes, a UUIDv7: 48 bits of wall clock, the rest random."""
    ms = int(time.time() * 1000)
    tail = bytearray(os.urandom(10))
    tail[0] = 0x70 | tail[0] & 0x0F
    tail[2] = 0x80 | tail[2] & 0x3F
    return ms.to_bytes(6, "big") + bytes(tail)


# ---------------------------------------------------------------- processes

def children_of(pid):
    """Its live processes."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % entry) as stat:
                state, parent = stat.read().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state not in "ZX":
            found.append(int(entry))
    return found


class Reports:
    """A named pipe at `path`, into which processes that others start write words about themselves."""

    def __init__(self, path):
        os.mkfifo(path)
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)

    def read(self, count, seconds=10):
        """So many words, waited for."""
        said, deadline = b"", Deadline(seconds)
        while len(said.split()) < count or not said.endswith(b"\n"):
            check(select.select([self.fd], [], [], deadline.left())[0], "only these reported: %s" % said)
            said += os.read(self.fd, 4096)
        return said.decode().split()


def wait_gone(pids, seconds=10):
    """Processes that somebody else has started; zombies have gone."""
    deadline = Deadline(seconds)
    for pid in pids:
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            gone, _, _ = select.select([process], [], [], deadline.left())
            check(gone, "it outlives who started it: %d" % pid)
        finally:
            os.close(process)


def sluice(broker, *arguments, status=0):
    """Runs the command line to its end. What it printed; if it was to fail, also why."""
    done = subprocess.run([program("sluice"), *arguments], timeout=30 * SLOW,
                          env=dict(os.environ, SLUICE_BROKER=broker.endpoint),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    equal(done.returncode, status, "exit status, which came with " + done.stdout + done.stderr)
    return done.stdout + (quiet(done.stderr) if status != 0 else "")


def quiet(text):
    """`text` without the line that the address sanitizer says of every program with fibers."""
    return "".join(line for line in text.splitlines(True) if "support makecontext" not in line)


class Process:
    """A child process whose standard error and output can be waited on, line by line."""

    def __init__(self, command, environment=None, cwd=None):
        self.command = command
        self.lines = []
        self.changed = threading.Condition()
        self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, cwd=cwd,
                                      env=dict(os.environ, **(environment or {})))
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.child.stdout:
            if b"support makecontext" in line:
                continue  # see quiet()
            with self.changed:
                self.lines.append(line.decode(errors="replace").rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def output(self):
        with self.changed:
            return "\n".join(self.lines)

    def wait_line(self, text, seconds=10, after=0):
        """The first line from number `after` on that contains `text`. Fails at the deadline,
        or when the process has ended without saying it."""
        deadline = Deadline(seconds)
        with self.changed:
            while True:
                for line in self.lines[after:]:
                    if text in line:
                        return line
                if not self.reader.is_alive() or deadline.passed():
                    break
                self.changed.wait(min(deadline.left(), 0.5))
        status = self.child.poll()
        raise Failure("%s did not say '%s'; it %s, and said:\n%s" %
                      (os.path.basename(self.command[0]), text,
                       "runs" if status is None else "ended with status %d" % status,
                       self.output()))

    def wait_exit(self, seconds=10):
        """The exit status, negative for a signal."""
        try:
            status = self.child.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            raise Failure("%s did not end within %g s; it said:\n%s" %
                          (os.path.basename(self.command[0]), seconds * SLOW,
                           self.output())) from None
        self.reader.join(seconds * SLOW)
        return status

    def signal(self, number):
        self.child.send_signal(number)

    def kill(self):
        """kill -9, and collect it."""
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.reader.join(5)

    def running(self):
        return self.child.poll() is None

    def memory_bytes(self):
        """Resident memory now."""
        with open("/proc/%d/statm" % self.child.pid) as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cpu_s(self):
        """Processor time used so far."""
        with open("/proc/%d/stat" % self.child.pid) as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.child.stdout.close()


def run(command, seconds=10):
    """Runs `command` to its end: (exit status, everything it printed)."""
    with Process(command) as process:
        status = process.wait_exit(seconds)
        return status, process.output()


class Broker(Process):
    """A private sluice-broker on a free loopback port, in a directory of its own.

    `options` go on its command line; `wrapper` is a command that runs it. Leaving the block asserts that it is still alive and
    lets it go in order: a broker that crashed fails the case, and so does a sanitizer report."""

    wrapper = ()

    def __init__(self, *options, endpoint="tcp://127.0.0.1:*", config=None, expect_exit=False,
                 environment=None):
        self.directory = tempfile.mkdtemp(prefix="sluice-test-")
        self.options, self.expect_exit = list(options), expect_exit
        self.environment = environment
        if config is not None:
            path = os.path.join(self.directory, "sluice.conf")
            with open(path, "w") as file:
                file.write(config)
            self.options += ["--config", path]
        try:
            self._start([endpoint] if isinstance(endpoint, str) else list(endpoint))
        except BaseException:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise

    def _start(self, endpoints):
        command = [*self.wrapper, program("sluice-broker")]
        for endpoint in endpoints:
            command += ["--endpoint", endpoint.replace("{dir}", self.directory)]
        Process.__init__(self, command + self.options, self.environment)
        try:
            line = self.wait_line("broker_started")
        except BaseException:
            self.kill()
            raise
        self.endpoints = log_field(line, "endpoints").split()
        self.endpoint = self.endpoints[0]

    def restart(self):
        """Starts it again on the endpoints it had; the one before must have ended."""
        check(not self.running(), "the broker still runs")
        self.child.stdout.close()
        self._start(self.endpoints)

    def stop(self, seconds=10):
        """SIGTERM, and a second one when tasks keep it draining; its exit status."""
        self.signal(signal.SIGTERM)
        try:
            return self.wait_exit(min(seconds, 1))
        except Failure:
            self.signal(signal.SIGTERM)
            return self.wait_exit(seconds)

    def __exit__(self, kind, *_):
        try:
            if kind is None and not self.expect_exit:
                check(self.running(), "the broker ended by itself:\n" + self.output())
                equal(self.stop(), 0, "exit status of a broker that said:\n%s\n" % self.output())
        finally:
            Process.__exit__(self)
            shutil.rmtree(self.directory, ignore_errors=True)


class DurableBroker(Broker):
    """A broker with a store in its own directory."""

    def __init__(self, *options, **more):
        super().__init__(*options, "--store", "{dir}/tasks.db", **more)

    def _start(self, endpoints):
        self.options = [option.replace("{dir}", self.directory) for option in self.options]
        super()._start(endpoints)

    @property
    def path(self):
        return os.path.join(self.directory, "tasks.db")


def log_field(line, key):
    """The value of `key=value` or `key="value"` in a log line; None if absent."""
    at = line.find(" %s=" % key)
    if at < 0:
        return None
    rest = line[at + len(key) + 2:]
    if rest.startswith('"'):
        return rest[1:].split('"')[0]
    return rest.split(" ")[0]


# -------------------------------------------------------------------- peers

class Command(list):
    """A received command: the array as it came, payloads resolved to their bytes."""

    @property
    def code(self):
        return self[0]

    def field(self, index, default=None):
        return self[index] if index < len(self) and self[index] is not None else default

    # of RESULT
    @property
    def outcome(self):
        return OUTCOMES[self[2]]

    @property
    def body(self):
        return self[3]

    # of ERROR
    @property
    def error(self):
        return self[1]


class Peer:
    """One DEALER that speaks the protocol; by default it has said HELLO.

    `broker` is a Broker or an endpoint. Not thread-safe; give each thread its own."""

    def __init__(self, broker, name="test", hello=True, probe=False, **socket_options):
        self.endpoint = broker if isinstance(broker, str) else broker.endpoint
        self.name, self.session = name, new_id()
        self.inbox = collections.deque()
        self.welcome = None
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.IMMEDIATE, 1)
        self.socket.setsockopt(zmq.RCVHWM, 0)
        if probe:
            self.socket.setsockopt(zmq.PROBE_ROUTER, 1)
        for option, value in socket_options.items():
            self.socket.setsockopt(getattr(zmq, option), value)
        self.socket.connect(self.endpoint)
        if hello:
            self.hello()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # ---- messages

    def send_raw(self, *frames, seconds=10):
        """One ZeroMQ message, these frames; waits for the connection, and for room."""
        self.socket.setsockopt(zmq.SNDTIMEO, int(seconds * SLOW * 1000))
        try:
            self.socket.send_multipart(frames, copy=max(map(len, frames)) < 65536)
        except zmq.Again:
            raise Failure("%s cannot send to %s" % (self.name, self.endpoint)) from None

    def send(self, *commands, frames=()):
        """One message: commands as lists, attached frames."""
        self.send_raw(b"".join(msgpack.packb(c, use_bin_type=True) for c in commands), *frames)

    def _receive(self, seconds):
        """Moves one message into the inbox; False if none came in time."""
        if not self.socket.poll(seconds * 1000):
            return False
        batch, *frames = self.socket.recv_multipart()
        unpacker = msgpack.Unpacker(raw=False, max_buffer_size=1 << 25)
        unpacker.feed(batch)
        named = []
        for array in unpacker:
            command = Command(array)
            for at in PAYLOADS.get(command.code, ()):
                if isinstance(command.field(at), int):
                    named.append(command[at])
                    command[at] = frames[command[at] - 1]
            self.inbox.append(command)
        equal(sorted(named), list(range(1, len(frames) + 1)), "frames named by the batch")
        return True

    def wait(self, code, match=lambda command: True, seconds=10):
        """The first command with this code that matches; others stay for later waits."""
        deadline = Deadline(seconds)
        seen = 0
        while True:
            for index in range(seen, len(self.inbox)):
                if self.inbox[index].code == code and match(self.inbox[index]):
                    command = self.inbox[index]
                    del self.inbox[index]
                    return command
            seen = len(self.inbox)
            if not self._receive(deadline.left()):
                raise Failure("%s waited in vain for command %d; it has %s" %
                              (self.name, code, shorten(list(self.inbox))))

    def drain(self):
        """Takes all that has come into the inbox; waits for nothing."""
        while self._receive(0):
            pass

    def nothing(self, code):
        """Fails if a command with this code has come. Call it after something that proves that
        the broker has seen everything before: ping() does."""
        found = [c for c in self.inbox if c.code == code]
        check(not found, "%s got %s" % (self.name, shorten(found)))

    # ---- the protocol

    def hello(self):
        self.send([HELLO, 1, self.session, self.name])
        self.welcome = self.wait(WELCOME)
        return self.welcome

    def offer(self, service, credit=1, **options):
        self.send([OFFER, service, credit, options])
        self.ping()

    def ping(self, seconds=10):
        """A round trip: everything sent before has been handled when it returns."""
        nonce = int.from_bytes(os.urandom(6), "big") + 1
        self.send([PING, nonce])
        self.wait(PONG, lambda c: c.field(1) == nonce, seconds)

    def bye(self, reason=""):
        self.send([BYE, reason])

    def submit(self, service, payload=b"", task=None, **options):
        """Sends SUBMIT; the task's id."""
        task = task or new_id()
        if len(payload) > INLINE_MAX:
            self.send([SUBMIT, task, service, 1, options], frames=[payload])
        else:
            self.send([SUBMIT, task, service, payload, options])
        return task

    def result(self, task=None, seconds=10):
        """RESULT of `task`, or the next one."""
        return self.wait(RESULT, lambda c: task is None or c[1] == task, seconds)

    def task(self, seconds=10):
        """The next TASK for this worker."""
        return self.wait(TASK, seconds=seconds)

    def done(self, task, payload=b""):
        """Answers a TASK."""
        if len(payload) > INLINE_MAX:
            self.send([DONE, task[1], task[2], 1], frames=[payload])
        else:
            self.send([DONE, task[1], task[2], payload])

    def fail(self, task, code, message="", retryable=False, **more):
        self.send([FAIL, task[1], task[2],
                   dict(code=code, message=message, retryable=retryable, **more)])

    def serve_one(self, handler=lambda payload: payload, seconds=10):
        """Takes one TASK and answers it; its id."""
        task = self.task(seconds)
        self.done(task, handler(task[4]))
        return task[1]

    def query(self, what, argument=None, seconds=10):
        """The body of REPLY; a refusal is a failure."""
        request = int.from_bytes(os.urandom(4), "big") + 1
        self.send([QUERY, request, what, argument])
        reply = self.wait(REPLY, lambda c: c[1] == request, seconds)
        check(reply[2], "QUERY %s: %s" % (what, reply[3]))
        return reply[3]


# ---------------------------------------------------------------------- TAP

_cases = []


def case(name):
    """Registers a function as a test case."""
    def register(function):
        _cases.append((name, function))
        return function
    return register


class Skipped(Exception):
    """Why a case cannot be run here."""


def skip(why):
    """Ends a case that cannot be run here."""
    raise Skipped(why)


def main():
    """Runs every case, or those whose name contains an argument; exits."""
    wanted = sys.argv[1:]
    chosen = [c for c in _cases if not wanted or any(w in c[0] for w in wanted)]
    failed = 0
    print("1..%d" % len(chosen), flush=True)
    for number, (name, function) in enumerate(chosen, 1):
        try:
            function()
            print("ok %d - %s" % (number, name), flush=True)
        except Skipped as why:
            print("ok %d - %s # SKIP %s" % (number, name, why), flush=True)
        except Failure as failure:
            failed += 1
            first, *rest = str(failure).split("\n")
            print("not ok %d - %s: %s" % (number, name, first))
            print("".join("# %s\n" % line for line in rest), end="", flush=True)
        except Exception as error:  # a bug of the test, or a broker that talks nonsense
            failed += 1
            print("not ok %d - %s: %s: %s" % (number, name, type(error).__name__, error))
            print("".join("# %s\n" % line for line in traceback.format_exc().splitlines()),
                  end="", flush=True)
    sys.exit(1 if failed or not chosen else 0)
