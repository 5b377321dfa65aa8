#!/usr/bin/python3
"""sluice-broker as a process: options, endpoints, frames, limits, signals, systemd."""
import os
import random
import re
import signal
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import msgpack
import zmq

from sluice_test import (BYE, ERROR, OFFER, PING, PONG, QUERY, SLOW, SUBMIT, Broker, Deadline,
                         Failure, Peer, Process, case, check, equal, free_port, log_field, main,
                         new_id, program, run)

MIB = 1024 * 1024


def run_broker(*options):
    return run([program("sluice-broker"), *options])


def expect_error(peer, code, field=None):
    error = peer.wait(ERROR)
    equal(error.error["code"], code, "error code")
    if field is not None:
        equal(error.field(3, ""), field, "field at fault")
    return error


def check_serves(broker):
    """A task goes round: nothing else has disturbed the broker."""
    service = "check-%d" % random.getrandbits(32)
    with Peer(broker, "check-worker") as worker, Peer(broker, "check-asker") as asker:
        worker.offer(service)
        task = asker.submit(service, b"still there?")
        worker.serve_one()
        equal(asker.result(task).body, b"still there?")


# ------------------------------------------------------------ the protocol

@case("HELLO is answered with WELCOME and the limits of the broker")
def _():
    with Broker("--ping-ms", "3s", "--silence-ms", "9s", "--max-payload", "1M") as broker:
        with Peer(broker) as peer:
            equal(peer.welcome[1], 1, "version")
            options = peer.welcome[2]
            equal(options.get("known", False), False, "known")
            equal((options["ping_ms"], options["silence_ms"]), (3000, 9000), "timers")
            equal(options["payload_bytes"], MIB, "payload_bytes")
            equal(len(options["broker"]), 16, "length of the broker's id")


@case("a probe is answered with hello_required")
def _():
    with Broker() as broker, Peer(broker, hello=False, probe=True) as peer:
        expect_error(peer, "hello_required")
        peer.hello()
        peer.ping()


@case("nothing works before HELLO")
def _():
    with Broker() as broker, Peer(broker, hello=False) as peer:
        for command in [SUBMIT, new_id(), "x", b"", {}], [OFFER, "x", 1, {}], [PING, 1], \
                [QUERY, 1, "stats"]:
            peer.send(command)
            expect_error(peer, "hello_required")


@case("a task goes to a worker and its result comes back")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker, Peer(broker, "asker") as asker:
        worker.offer("echo", 8)
        task = asker.submit("echo", b"hi", receipts=True)
        equal(worker.serve_one(), task, "task id")
        result = asker.result(task)
        equal((result.outcome, result.body, result[7]), ("done", b"hi", "worker"), "result")


@case("payloads of every size come back whole, inline and attached")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker, Peer(broker, "asker") as asker:
        worker.offer("echo", 8)
        for size in 0, 1, 8191, 8192, 8193, 65536, MIB + 1, 16 * MIB:
            payload = os.urandom(size)
            task = asker.submit("echo", payload)
            worker.serve_one()
            check(asker.result(task, seconds=30).body == payload, "%d bytes have changed" % size)
        # Inline beyond what senders inline: receivers take both forms at any size.
        payload = os.urandom(100000)
        task = new_id()
        asker.send([SUBMIT, task, "echo", payload, {}])
        worker.serve_one()
        check(asker.result(task).body == payload, "100,000 bytes inline came back changed")


@case("several attached payloads in one message keep their places")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker, Peer(broker, "asker") as asker:
        worker.offer("echo", 63)
        tasks = {new_id(): os.urandom(8193 + n) for n in range(63)}
        asker.send(*([SUBMIT, task, "echo", n + 1, {}] for n, task in enumerate(tasks)),
                   frames=list(tasks.values()))
        for _ in tasks:
            worker.serve_one()
        for task, payload in tasks.items():
            check(asker.result(task).body == payload, "a payload came back changed")


@case("a payload over the limit is refused by name")
def _():
    with Broker("--max-payload", "64K") as broker, Peer(broker) as peer:
        task = peer.submit("x", b"x" * (64 * 1024 + 1), if_absent="wait")
        result = peer.result(task)
        equal((result.outcome, result.body["code"]), ("refused", "too_large"), "outcome and code")


@case("a frame that ZeroMQ refuses closes that connection and no other")
def _():
    with Broker() as broker, Peer(broker, "witness") as witness:
        with Peer(broker, "large") as large:
            large.send([SUBMIT, new_id(), "x", 1, {}], frames=[b"x" * (18 * MIB)])
            # The connection is made anew, and the broker does not know it.
            deadline = Deadline(20)
            while not deadline.passed():
                large.send([PING, 1])
                if large._receive(1.0) and large.inbox[-1].code == ERROR:
                    break
            equal(large.inbox[-1].error["code"], "hello_required", "error code")
        witness.ping()


# ------------------------------------------------------------ hostile frames

@case("a message of more than 64 frames is dropped and answered")
def _():
    with Broker() as broker, Peer(broker) as peer:
        for count in 65, 20000:
            peer.send_raw(msgpack.packb([PING, 7]), *[b"x"] * (count - 1), seconds=30)
            expect_error(peer, "too_large", "frames")
        peer.ping()
        peer.nothing(PONG)


@case("a batch over 1 MiB is dropped and answered")
def _():
    with Broker() as broker, Peer(broker) as peer:
        peer.send_raw(b"".join([msgpack.packb([PING, 7])] * (MIB // 3 + 1)))
        expect_error(peer, "too_large", "batch")
        peer.ping()
        peer.nothing(PONG)


@case("a batch of more than 65,536 commands is read up to there")
def _():
    with Broker() as broker, Peer(broker) as peer:
        peer.send_raw(b"\x91\x0f" * 65537)
        equal(expect_error(peer, "too_large", "batch").code, ERROR)
        peer.ping()


@case("a delimiter frame is named as the mistake it is")
def _():
    with Broker() as broker:
        with Peer(broker, hello=False) as peer:
            peer.send_raw(b"", msgpack.packb([PING, 7]))
            peer.wait(ERROR)
        with Peer(broker) as peer:
            peer.send_raw(b"", msgpack.packb([PING, 7]))
            expect_error(peer, "bad_message", "batch")
            peer.ping()


@case("a peer that chooses its routing id is told to leave that")
def _():
    with Broker() as broker:
        for routing_id in b"worker-1", b"\x00abc", b"\x01abcd", b"x" * 255:
            with Peer(broker, hello=False, ROUTING_ID=routing_id) as peer:
                peer.send([PING, 7])
                expect_error(peer, "bad_message", "routing_id")
        broker.wait_line("stranger_refused")
        check_serves(broker)


@case("garbage is answered or ignored, and others are served")
def _():
    seed = random.getrandbits(32)
    dice = random.Random(seed)
    valid = [msgpack.packb([SUBMIT, new_id(), "g", b"x" * 50, {"deadline_ms": 5}]),
             msgpack.packb([OFFER, "g", 3, {"about": "text"}]),
             msgpack.packb([QUERY, 1, "catalog"]), msgpack.packb([BYE, "why"]),
             msgpack.packb([1, 1, new_id(), "name", {}])]

    def mutate(frame):
        frame = bytearray(frame)
        for _ in range(dice.randrange(1, 4)):
            frame[dice.randrange(len(frame))] = dice.randrange(256)
        return bytes(frame[:dice.randrange(1, len(frame) + 1)])

    with Broker() as broker:
        with Peer(broker, "noise") as noise:
            for turn in range(3000):
                if turn % 3 == 0:
                    frames = [dice.randbytes(dice.randrange(200))
                              for _ in range(dice.randrange(1, 4))]
                else:
                    frames = [mutate(dice.choice(valid)) for _ in range(dice.randrange(1, 3))]
                try:
                    noise.send_raw(*frames)
                except Failure as failure:
                    raise Failure("%s (seed %d)" % (failure, seed)) from None
            check(broker.running(), "the broker ended (seed %d):\n%s" % (seed, broker.output()))
            check_serves(broker)


@case("a raw connection that speaks no ZeroMQ disturbs nobody")
def _():
    with Broker() as broker:
        host, port = broker.endpoint[len("tcp://"):].split(":")
        for noise in b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096), b"\xff" + b"\0" * 8 + b"\x7f":
            with socket.create_connection((host, int(port))) as raw:
                raw.sendall(noise)
        check_serves(broker)


@case("the rest of a batch is not worked on once its sender is too slow")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker:
        for n in range(100):
            worker.offer("service-%d" % n, about="a" * 1000)
        query = msgpack.packb([QUERY, 1, "catalog"])
        before = broker.cpu_s()
        with Peer(broker, "greedy", RCVHWM=1, RCVBUF=4096) as greedy:
            greedy.send_raw(query * 65000)
            broker.wait_line("reason=too_slow")
            worker.ping(60)
            used = broker.cpu_s() - before
            check(used < 1 * SLOW, "%.2f s of processor time" % used)  # all of it takes several


@case("a peer that asks much and reads nothing is dropped, and memory stays bounded")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker:
        for n in range(100):
            worker.offer("service-%d" % n, about="a" * 200)
        before = broker.memory_bytes()
        query = msgpack.packb([QUERY, 1, "catalog"])
        with Peer(broker, "greedy", RCVHWM=1, RCVBUF=4096) as greedy:
            for _ in range(20):
                greedy.send_raw(query * 1000)
            line = broker.wait_line("reason=too_slow", seconds=60)
            check("connection_lost" in line, line)
            check(broker.memory_bytes() - before < 200 * MIB * SLOW,
                  "%d MiB more than before" % ((broker.memory_bytes() - before) // MIB))
            check_serves(broker)


@case("a flood of warnings is counted, not printed")
def _():
    with Broker() as broker:
        with Peer(broker, hello=False, ROUTING_ID=b"noisy") as peer:
            for _ in range(500):
                peer.send([PING, 7])
            line = broker.wait_line("log_suppressed event=stranger_refused")
        check(int(line.split("count=")[1]) > 100, line)
        printed = sum("stranger_refused routing_id" in line for line in broker.lines)
        check(printed <= 10 * 10 * SLOW, "%d lines" % printed)


# ------------------------------------------------------- connections that go

@case("a worker that vanishes is noticed, and its task goes to another one")
def _():
    with Broker() as broker, Peer(broker, "asker") as asker:
        with Peer(broker, "first") as first:
            first.offer("work")
            task = asker.submit("work", b"x")
            equal(first.task()[1], task, "task")
        with Peer(broker, "second") as second:
            second.offer("work")
            again = second.task(seconds=5)
            equal((again[1], again[2]), (task, 2), "task and attempt")
            second.done(again, b"y")
        equal(asker.result(task).body, b"y")


@case("connections that come and go leave nothing behind")
def _():
    # A sanitizer build keeps what was freed for a while; not here.
    options = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
    with Broker(environment={"ASAN_OPTIONS": options}) as broker, \
            Peer(broker, "witness") as witness:
        def churn(count):
            for _ in range(count):
                with Peer(broker, "guest") as guest:
                    guest.bye()
            witness.ping()
        churn(100)
        before = broker.memory_bytes()
        churn(500)
        check(broker.memory_bytes() - before < 8 * MIB * SLOW,
              "%d KiB more" % ((broker.memory_bytes() - before) // 1024))
        deadline = Deadline(10)
        while witness.query("stats")["peers"] != 1:
            check(not deadline.passed(), "peers are left")


@case("with no descriptor left, those who are connected are served")
def _():
    files = 100
    command = ["prlimit", "--nofile=%d" % files, program("sluice-broker"), "--endpoint",
               "tcp://127.0.0.1:*"]
    with Process(command) as broker:
        line = broker.wait_line("broker_started")
        equal(log_field(line, "files_max"), str(files), "files_max")
        check(int(log_field(line, "max_peers")) < files, line)
        endpoint = log_field(line, "endpoints")
        with Peer(endpoint, "worker") as worker, Peer(endpoint, "asker") as asker:
            worker.offer("echo")
            host, port = endpoint[len("tcp://"):].split(":")
            crowd = [socket.create_connection((host, int(port))) for _ in range(files)]
            for _ in range(10):
                task = asker.submit("echo", b"x")
                worker.serve_one()
                equal(asker.result(task).body, b"x")
            for one in crowd:
                one.close()
            with Peer(endpoint, "late") as late:  # as soon as there is room again
                late.ping()
        broker.signal(signal.SIGTERM)
        equal(broker.wait_exit(), 0, "status")


# ------------------------------------------------------- options and config

@case("--help, --version and --check-config say it and do no more")
def _():
    status, output = run_broker("--help")
    equal(status, 0, "status")
    check("--max-tasks" in output and "--endpoint" in output, output)
    status, output = run_broker("--version")
    equal(status, 0, "status")
    check(output.startswith("sluice-broker "), output)
    status, output = run_broker("--check-config")
    equal((status, output), (0, "the config is good"), "status and output")


@case("a wrong option is named")
def _():
    for options, words in ((["--bogus"], "--bogus"), (["--memory", "lots"], "memory"),
                           (["stray"], "stray"), (["--config"], "--config"),
                           (["--endpoint", "udp://127.0.0.1:1"], "udp://127.0.0.1:1"),
                           (["--endpoint", "tcp://127.0.0.1"], "tcp://127.0.0.1")):
        status, output = run_broker(*options)
        equal(status, 2, "status of %s" % options)
        check(words in output and len(output.splitlines()) == 1, output)


@case("a wrong line of the config is named by file and line")
def _():
    good = "# comment\n\nlimits\n    max_tasks = 5\n"
    for text, line, words in ((good + "    bogus = 1\n", 5, "bogus"),
                              (good + "    memory = lots\n", 5, "lots"),
                              (good + "    max_tasks = 6\n", 5, "twice"),
                              (good + "  memory = 1M\n", 5, "4 spaces"),
                              (good + "\tmemory = 1M\n", 5, "tab"),
                              (good + "    memory 1M\n", 5, "key = value"),
                              (good + "        memory = 1M\n", 5, "indented below"),
                              (good + "    memory = \"1M\n", 5, "quotation"),
                              (good + "nonsense\n", 5, "nonsense"),
                              (good + "memory = 1M\n", 5, "section"),
                              (good + "services\n    a b\n", 6, "name"),
                              (good + "services\n    a\n        attempts = 0\n", 7, "attempts"),
                              ("broker\n    endpoint = carrier://pigeon\n", 2, "carrier"),
                              ("broker\n    # x\n    log_level = loud\n", 3, "loud")):
        broker = None
        try:
            with Broker(config=text, expect_exit=True) as broker:
                raise Failure("it took: " + text)
        except Failure as failure:
            output = str(failure)
        check("sluice.conf:%d: " % line in output, "line %d expected: %s" % (line, output))
        check(words in output, "'%s' expected: %s" % (words, output))


@case("the config file decides, and the command line overrides it")
def _():
    config = ("broker\n    name = from-file\nlimits\n    max_payload = 1M\n"
              "timers\n    ping_ms = 1s\n"
              "services\n    small\n        max_tasks = 2\n")
    with Broker("--max-payload", "2M", config=config) as broker, Peer(broker) as peer:
        check("name=from-file" in broker.output(), broker.output())
        equal(peer.welcome[2]["ping_ms"], 1000, "ping_ms")
        equal(peer.welcome[2]["payload_bytes"], 2 * MIB, "payload_bytes")
        tasks = [peer.submit("small", b"x", if_absent="wait") for _ in range(3)]
        refused = peer.result(tasks[2])
        equal((refused.outcome, refused.body["code"]), ("refused", "queue_full"), "the third task")


@case("the example config is good")
def _():
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    status, output = run_broker("--check-config", "--config",
                                os.path.join(root, "deploy", "sluice.conf.example"))
    equal(status, 0, "status of %s" % output)


@case("the example config has every setting")
def _():
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    with open(os.path.join(root, "deploy", "sluice.conf.example"), encoding="utf-8") as file:
        keys = set(re.findall(r"^\s*#? ?\s*([a-z_]+) = ", file.read(), re.M))
    options = re.findall(r"^ +(?:-., )?--([a-z-]+)", run_broker("--help")[1], re.M)
    settings = {re.sub("^service_", "", option.replace("-", "_")) for option in options
                if option != "service-linger-ms"}
    equal(settings - keys - {"config", "check_config", "help", "version"}, set())


# ---------------------------------------------------------------- endpoints

@case("a public address is refused, with the reason, unless it is allowed")
def _():
    for endpoint in "tcp://0.0.0.0:*", "tcp://*:*", "tcp://[::]:*":
        status, output = run_broker("--endpoint", endpoint)
        equal(status, 2, "status")
        check("not encrypted" in output and "--allow-plain" in output, output)
    with Broker("--allow-plain", endpoint="tcp://0.0.0.0:*") as broker:
        check_serves(broker.endpoint.replace("0.0.0.0", "127.0.0.1"))


@case("a port in use is named, with what to do")
def _():
    with Broker() as broker:
        status, output = run_broker("--endpoint", broker.endpoint)
        equal(status, 1, "status")
        check("in use" in output and broker.endpoint in output and "--endpoint" in output, output)
        check_serves(broker)


@case("tcp and ipc serve at once")
def _():
    with Broker(endpoint=["tcp://127.0.0.1:*", "ipc://{dir}/broker.ipc"]) as broker:
        tcp, ipc = broker.endpoints
        with Peer(tcp, "worker") as worker, Peer(ipc, "asker") as asker:
            worker.offer("echo")
            task = asker.submit("echo", b"across")
            worker.serve_one()
            equal(asker.result(task).body, b"across")


@case("an ipc socket that a live broker serves is refused, a stale one replaced")
def _():
    with Broker(endpoint="ipc://{dir}/broker.ipc") as broker:
        status, output = run_broker("--endpoint", broker.endpoint)
        equal(status, 1, "status")
        check("another process listens" in output, output)
        check_serves(broker)
        broker.kill()
        check(os.path.exists(broker.endpoint[len("ipc://"):]), "kill -9 left no socket behind")
        broker.restart()
        check_serves(broker)


@case("a file that is no socket survives as an ipc path")
def _():
    with Broker() as broker:
        path = os.path.join(broker.directory, "precious")
        with open(path, "w") as file:
            file.write("data")
        status, output = run_broker("--endpoint", "ipc://" + path)
        equal(status, 1, "status")
        check("no socket" in output, output)
        with open(path) as file:
            equal(file.read(), "data", "the file")
        status, output = run_broker("--endpoint", "ipc://%s/none/broker.ipc" % broker.directory)
        equal(status, 1, "status")
        check("directory does not exist" in output, output)


# ------------------------------------------------------------------ signals

@case("SIGTERM ends an idle broker at once, and says BYE")
def _():
    with Broker(expect_exit=True) as broker, Peer(broker) as peer:
        broker.signal(signal.SIGTERM)
        equal(peer.wait(BYE)[1], "stopping", "reason")
        equal(broker.wait_exit(), 0, "status")
        check("broker_stopped" in broker.output(), broker.output())


@case("SIGTERM lets tasks finish and takes nothing new")
def _():
    with Broker(expect_exit=True) as broker, Peer(broker, "worker") as worker, \
            Peer(broker, "asker") as asker:
        worker.offer("slow")
        task = asker.submit("slow", b"x")
        held = worker.task()
        broker.signal(signal.SIGTERM)
        broker.wait_line("broker_draining")
        refused = asker.result(asker.submit("slow", b"y"))
        equal((refused.outcome, refused.body["code"]), ("refused", "draining"), "the new task")
        check(broker.running(), "it left a task behind")
        worker.done(held, b"finished")
        equal(asker.result(task).body, b"finished")
        equal(broker.wait_exit(), 0, "status")


@case("a second SIGTERM stops at once")
def _():
    with Broker("--drain-ms", "0", expect_exit=True) as broker, Peer(broker) as peer:
        peer.submit("nobody", b"x", if_absent="wait")
        peer.ping()
        broker.signal(signal.SIGTERM)
        broker.wait_line("broker_draining")
        check(broker.running(), "the first one ended it")
        broker.signal(signal.SIGINT)
        equal(broker.wait_exit(), 0, "status")
        check("unfinished=1" in broker.output(), broker.output())


@case("a drain has an end")
def _():
    with Broker("--drain-ms", "100", expect_exit=True) as broker, Peer(broker) as peer:
        peer.submit("nobody", b"x", if_absent="wait")
        peer.ping()
        broker.signal(signal.SIGTERM)
        equal(broker.wait_exit(), 0, "status")
        check("drain_timeout unfinished=1" in broker.output(), broker.output())


@case("SIGHUP changes nothing")
def _():
    with Broker() as broker:
        broker.signal(signal.SIGHUP)
        check_serves(broker)


@case("a broker that was killed serves again on the same port")
def _():
    with Broker(endpoint="tcp://127.0.0.1:%d" % free_port()) as broker:
        with Peer(broker, probe=True) as peer:
            peer.wait(ERROR)  # the probe of the first connection, before HELLO was handled
            first = peer.welcome[2]["broker"]
            broker.kill()
            broker.restart()
            # PROBE_ROUTER on the new connection: the peer learns it without sending anything.
            equal(peer.wait(ERROR, seconds=20).error["code"], "hello_required", "error code")
            check(peer.hello()[2]["broker"] != first, "the broker's id is the same")


# ------------------------------------------------------------------ systemd

@case("systemd is told when it is ready, alive and stopping")
def _():
    with Broker() as other:  # for its directory
        path = os.path.join(other.directory, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            notify.settimeout(10 * SLOW)
            with Process([program("sluice-broker"), "--endpoint", "tcp://127.0.0.1:*"],
                         {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"}) as broker:
                check("READY=1" in notify.recv(4096).decode(), "no READY=1")
                for _ in range(3):
                    equal(notify.recv(4096), b"WATCHDOG=1", "message")
                broker.signal(signal.SIGTERM)
                message = b"WATCHDOG=1"
                while message == b"WATCHDOG=1":
                    message = notify.recv(4096)
                equal(message, b"STOPPING=1", "message")
                equal(broker.wait_exit(), 0, "status")


main()
