#!/usr/bin/python3
"""libsluice against a real broker: what sluice.h promises, and what survives what.

The peers are tests/system/runtime_cases.c (one case a process) and runtime_peer.c."""
import os
import signal
import sys

import msgpack
import zmq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import BUILD, SLOW, Broker, Peer, Process  # noqa: E402
from sluice_test import case, check, equal, main, run  # noqa: E402
from sluice_test import BYE, DONE, ERROR, FAIL, HELLO, OFFER, PING, PONG, TASK, WELCOME  # noqa: E402
from wire import Wire  # noqa: E402

CASES = os.path.join(BUILD, "tests", "system", "runtime_cases")
PEER = os.path.join(BUILD, "tests", "system", "runtime_peer")


class Puppet:
    """A broker of one peer, which says what its case tells it to."""

    def __init__(self):
        self.context = zmq.Context()
        self.router = self.context.socket(zmq.ROUTER)
        self.router.linger = 0
        self.router.rcvtimeo = int(10000 * SLOW)
        self.endpoint = "tcp://127.0.0.1:%d" % self.router.bind_to_random_port("tcp://127.0.0.1")
        self.peer = None
        self.said = self._commands()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.destroy()

    def _commands(self):
        while True:
            unpacker = msgpack.Unpacker()
            unpacker.feed(self.router.recv_multipart()[1])
            yield from unpacker

    def accept(self):
        """Waits for the peer's connection, which begins with a probe."""
        self.peer, probe = self.router.recv_multipart()
        equal(probe, b"", "first message")

    def wait(self, *codes):
        """The next command of one of these codes; others are passed over."""
        return next(command for command in self.said if command[0] in codes)

    def send(self, *commands):
        """All in one message."""
        self.send_frames(b"".join(map(msgpack.packb, commands)))

    def send_frames(self, *frames):
        self.router.send_multipart([self.peer, *frames])


def in_process(name, promise, *broker_options, seconds=30):
    @case(promise)
    def _():
        with Broker(*broker_options) as broker:
            status, output = run([CASES, broker.endpoint, name], seconds)
            check(status == 0, "exit status %d: %s" % (status, output))


in_process("await", "a submitted task comes back, and says who did it")
in_process("large_join", "results that do not fit a join's are fetched by themselves")
in_process("detached", "a detached task goes on without its future, and is attached to by its id")
in_process("large", "payloads of 3 MiB come back whole")
in_process("timeout", "waiting less long harms neither the task nor a later wait")
in_process("deadline", "a task ends at its deadline")
in_process("inherited_deadline", "a child has no more time than its parent has left")
in_process("refusals", "an unknown service, a bad name and a missing answer have their codes")
in_process("schema", "arguments are checked before the handler runs, and the place is named")
in_process("progress", "progress and start are told on the loop")
in_process("gather", "gather keeps the order of its futures")
in_process("as_completed", "as_completed hands out futures in the order of their ends")
in_process("any", "any takes the first that is done, and stops the others")
in_process("join", "a join brings the outcomes of its held members")
in_process("recursion", "a parent that waits gives its credit back: depth 200 with credit 1")
in_process("recursion", "a parent may always have one child: depth 200 with a window of 4",
           "--window-tasks", "4")
in_process("ten_thousand", "ten thousand handlers wait in one process", seconds=120)
in_process("few_fibers", "tasks wait for a fiber when handlers_max of them are in use")
in_process("window", "submit waits for room in the window", "--window-tasks", "20")
in_process("full_queue", "a full queue refuses who may not wait, and keeps who may")
in_process("cancel", "a cancelled task ends when its handler has stopped")
in_process("cancel_unstarted", "a cancelled task that waits for a fiber ends at once",
           "--cancel-grace-ms", "3600000")
in_process("cancel_tree", "cancel reaches the children of a task")
in_process("careless", "children that nobody waits for end with their parent")
in_process("freed", "freeing a future cancels its task")
in_process("scopes", "a scope leaves nothing behind")
in_process("middleware", "middleware runs around the handler, in order, and may stop it")
in_process("fibers", "spawned fibers sleep and work off the loop")
in_process("queries", "queries and cancel by id are answered")


@case("owned payloads are not copied if large, and each is released once")
def _():
    with Broker() as broker:
        status, output = run([os.path.join(BUILD, "tests", "system", "owned_payloads"),
                              broker.endpoint], 30)
        check(status == 0, "exit status %d: %s" % (status, output))


@case("a broker killed and started again in the middle of 2,000 tasks loses none")
def _():
    with Broker() as broker, \
            Process([PEER, broker.endpoint, "worker"]) as worker, \
            Process([PEER, broker.endpoint, "flood", "2000", "50"]) as flood:
        flood.wait_line("first", 30)
        broker.kill()
        broker.restart()
        equal(flood.wait_exit(60), 0, "exit status of the submitter")
        flood.wait_line("done=2000")
        check(worker.running(), "the worker ended")


@case("connections that break in the middle of 3,000 tasks lose none")
def _():
    with Broker() as broker, Wire(broker) as near_worker, Wire(broker) as near_flood, \
            Process([PEER, near_worker.endpoint, "worker"]) as worker, \
            Process([PEER, near_flood.endpoint, "flood", "3000", "3000"]) as flood:
        flood.wait_line("started on", 30)  # a session that has said nothing is not known
        near_flood.cut()
        flood.wait_line("known=yes", 30)  # the broker has kept its tasks
        seen = len(worker.lines)
        near_worker.cut()
        worker.wait_line(" connected ", 30, after=seen)
        near_flood.cut()
        equal(flood.wait_exit(60), 0, "exit status of the submitter")
        flood.wait_line("done=3000 retried=no")  # both sessions went on where they stopped


@case("a worker killed in the middle of 2,000 tasks loses none")
def _():
    with Broker() as broker, Process([PEER, broker.endpoint, "worker"]) as first, \
            Process([PEER, broker.endpoint, "worker"]) as second:
        first.wait_line("connected")
        second.wait_line("connected")
        with Process([PEER, broker.endpoint, "flood", "2000", "100"]) as flood:
            flood.wait_line("started on runtime_peer-%d" % first.child.pid, 30)
            first.kill()
            equal(flood.wait_exit(60), 0, "exit status of the submitter")
            flood.wait_line("done=2000 retried=yes")


@case("a broker that dies is missed at once, and found again")
def _():
    with Broker() as broker, Process([PEER, broker.endpoint, "worker"]) as worker:
        broker.wait_line("service_offered service=told")
        broker.kill()
        line = worker.wait_line("connection_lost")
        check("broker=" + broker.endpoint in line, line)
        check("broker_lost" not in worker.output(), "silence was waited for")
        seen = len(worker.lines)
        broker.restart()
        worker.wait_line(" connected ", 30, after=seen)
        with Peer(broker, "asker") as asker:
            task = asker.submit("echo", b"hi")
            equal(asker.result(task).body, b"hi")


@case("a broker that hangs is given up, and found again")
def _():
    with Broker("--ping-ms", "100", "--silence-ms", "400") as broker, \
            Process([PEER, broker.endpoint, "worker"]) as worker:
        broker.wait_line("service_offered service=told")
        broker.signal(signal.SIGSTOP)
        worker.wait_line("broker_lost reason=silent", 30)
        seen = len(worker.lines)
        broker.signal(signal.SIGCONT)
        worker.wait_line(" connected ", 30, after=seen)
        with Peer(broker, "asker") as asker: # its offers stand
            task = asker.submit("echo", b"hi")
            equal(asker.result(task).body, b"hi")


@case("a worker that hangs loses its tasks to another, and comes back")
def _():
    with Broker("--ping-ms", "100", "--silence-ms", "500") as broker, \
            Process([PEER, broker.endpoint, "worker"]) as first, \
            Process([PEER, broker.endpoint, "worker"]) as second:
        first.wait_line("connected")
        second.wait_line("connected")
        with Process([PEER, broker.endpoint, "flood", "200", "300"]) as flood:
            flood.wait_line("started on runtime_peer-%d" % first.child.pid, 30)
            first.signal(signal.SIGSTOP)
            flood.wait_line("done=200 retried=yes", 60)
        seen = len(first.lines)
        first.signal(signal.SIGCONT)
        first.wait_line(" connected ", 30, after=seen)
        check(second.running(), "the other worker ended")


@case("what has come while a program computed is seen before its time is held against it")
def _():
    with Broker() as broker, Process([PEER, broker.endpoint, "worker"]), \
            Process([PEER, broker.endpoint, "compute"]) as peer:
        equal(peer.wait_exit(30), 0, "exit status")
        peer.wait_line("slow: done")


@case("SIGTERM lets a worker finish what it holds")
def _():
    with Broker() as broker, Process([PEER, broker.endpoint, "worker"]) as worker, \
            Peer(broker, "asker") as asker:
        broker.wait_line("service_offered service=told")
        task = asker.submit("told", b"\x81\xa2ms\xcd\x01\xf4")  # {"ms": 500}
        worker.wait_line("running")
        worker.signal(signal.SIGTERM)
        equal(asker.result(task).outcome, "done", "outcome")
        equal(worker.wait_exit(), 0, "exit status of the worker")
        check("handled" in worker.output(), "the handler was not finished")


@case("SIGTERM lets a worker take what was on its way to it")
def _():
    task = b"0123456789abcdef"
    with Puppet() as broker, Process([PEER, broker.endpoint, "worker"]) as worker:
        broker.accept()
        broker.send([ERROR, {"code": "hello_required"}])
        broker.wait(HELLO)
        broker.send([WELCOME, 1, {"broker": task}])
        broker.wait(OFFER)
        worker.signal(signal.SIGTERM)
        ping = broker.wait(PING)
        # Sent before its WITHDRAW had come here; PONG after.
        broker.send([TASK, task, 1, "echo", b"hello"])
        broker.send([PONG, ping[1]])
        equal(broker.wait(DONE, FAIL, BYE), [DONE, task, 1, b"hello"])
        equal(worker.wait_exit(), 0, "exit status of the worker")


@case("SIGTERM does not wait for a broker that has died")
def _():
    with Broker(expect_exit=True) as broker, Process([PEER, broker.endpoint, "worker"]) as worker:
        broker.wait_line("service_offered service=told")
        broker.kill()
        worker.wait_line("connection_lost")
        worker.signal(signal.SIGTERM)
        equal(worker.wait_exit(), 0, "exit status of the worker")


@case("a second SIGTERM ends a worker at once, and its task goes elsewhere")
def _():
    with Broker() as broker, Process([PEER, broker.endpoint, "worker"]) as worker, \
            Peer(broker, "asker") as asker:
        broker.wait_line("service_offered service=told")
        task = asker.submit("told", b"\x81\xa2ms\xce\x00\x36\xee\x80")  # an hour
        worker.wait_line("running")
        worker.signal(signal.SIGTERM)
        broker.wait_line("service_withdrawn")
        worker.signal(signal.SIGTERM)
        equal(worker.wait_exit(), 0, "exit status of the worker")
        with Peer(broker, "other") as other:
            other.offer("told", 1)
            equal(other.serve_one(), task)
            equal(asker.result(task).outcome, "done", "outcome")


@case("peers in two threads share nothing, and are stopped from elsewhere")
def _():
    with Broker() as broker:
        status, output = run([PEER, broker.endpoint, "threads"], 30)
        check(status == 0 and "done=1000" in output, "exit status %d: %s" % (status, output))


@case("a broker that talks nonsense does not stop a peer")
def _():
    pack, task = msgpack.packb, b"0123456789abcdef"
    with Puppet() as broker, Process([PEER, broker.endpoint, "worker"]) as worker:
        broker.accept()
        for nonsense in (b"\xc1", b"\x00" * 100, b"\xdd\xff\xff\xff\xff", pack([999, 1]),
                         pack([35]), pack([36, b"short", 0, b""]), pack([35, task, 1, "echo", 63]),
                         pack([32, 1, {"ping_ms": "soon"}]), pack([1, 1, task, "you"])):
            broker.send_frames(nonsense)
        broker.send_frames(pack([PONG, 0]), *[b"frame"] * 100)
        broker.send([ERROR, {"code": "hello_required"}])
        broker.wait(HELLO)
        broker.send([WELCOME, 1, {"broker": task, "ping_ms": 0}], [36, task, 0, b"of nobody"],
                    [39, task, 1, "expired"], [41, 77, True, {}],
                    [TASK, task, 1, "echo", b"hello"])
        equal(broker.wait(DONE), [DONE, task, 1, b"hello"])
        check(worker.running(), "the peer ended")


@case("without a broker the peer says so in time")
def _():
    status, output = run([PEER, "ipc:///nonexistent/sluice.sock", "nowhere"])
    equal(status, 1, "exit status")
    check("run: Connection timed out" in output, output)


@case("a worker that waits for its broker says so")
def _():
    with Process([PEER, "ipc:///nonexistent/sluice.sock", "worker"]) as worker:
        line = worker.wait_line("broker_unreachable", 30)
        check("broker=ipc:///nonexistent/sluice.sock hellos=3" in line, line)
        check(worker.running(), "it ended")


@case("a bad endpoint is refused")
def _():
    status, output = run([PEER, "nonsense", "worker"])
    equal(status, 4, "exit status")
    check("new: Invalid argument" in output, output)


@case("suspending in a sync handler stops the process with a message")
def _():
    with Broker() as broker:
        status, output = run([PEER, broker.endpoint, "misplaced"])
        equal(status, -signal.SIGABRT, "exit status")
        check("sluice_sleep_ms suspends" in output, output)


main()
