#!/usr/bin/python3
"""The sluice command, run as people and scripts run it: real processes, a real broker."""
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import (CANCEL_OUT, SLOW, Broker, Deadline, Failure, Peer, case, check, children_of,
                         equal, free_port, main, new_id, program, wait_gone)
import msgpack

COMMANDS = ("ask", "submit", "status", "cancel", "why", "tail", "signal", "tree", "services",
            "peers", "stats", "top", "limit", "pause", "resume", "drain", "undrain", "events", "dead",
            "cron", "audit", "store", "backup", "bench", "version")


class Cli:
    """`sluice ARGUMENT...` under way; standard output and error apart."""

    def __init__(self, broker, *arguments, stdin=None):
        environment = dict(os.environ)
        environment.pop("SLUICE_BROKER", None)
        if broker is not None:
            environment["SLUICE_BROKER"] = broker if isinstance(broker, str) else broker.endpoint
        self.child = subprocess.Popen([program("sluice"), *arguments], env=environment,
                                      stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if stdin:
            self.child.stdin.write(stdin)
            self.child.stdin.close()
            self.child.stdin = None

    def end(self, seconds=20):
        """Waits for the end; self, with status, out and err."""
        try:
            out, err = self.child.communicate(None, seconds * SLOW)
        except subprocess.TimeoutExpired:
            self.child.kill()
            out, err = self.child.communicate()
            raise Failure("sluice did not end; it said: %s %s" % (out, err)) from None
        self.status, self.out, self.err = self.child.returncode, out.decode(), err.decode()
        return self

    def expect(self, status):
        self.end()
        check(self.status == status, "exit status %s, expected %s; standard output: %s; "
              "standard error: %s" % (self.status, status, self.out, self.err))
        return self


def sluice(broker, *arguments, status=0, stdin=None):
    return Cli(broker, *arguments, stdin=stdin).expect(status)


def contains(text, *words):
    for word in words:
        check(word in text, "'%s' is not in: %s" % (word, text))


def text_id(raw):
    h = raw.hex()
    return "-".join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))


# ------------------------------------------------------------------- usage

@case("help lists every command, and every command explains itself")
def _():
    overview = sluice(None, "help").out
    contains(overview, *COMMANDS)
    check("bench-worker" not in overview, "the overview shows what is not for people")
    for command in COMMANDS:
        contains(sluice(None, command, "--help").out, "usage: sluice " + command)
        contains(sluice(None, "help", command).out, "usage: sluice " + command)
    contains(sluice(None, "bench", "echo", "--help").out, "--payload", "--window")
    contains(sluice(None, "bench", "nonsense", status=2).err, "there is no kind 'nonsense'", "kinds:", "latency")


@case("help of help is the list of commands")
def _():
    equal(sluice(None, "help", "--help").out, sluice(None, "help").out)


@case("--version says the same as version")
def _():
    equal(sluice(None, "--version").out, sluice(None, "version").out)


@case("output that cannot be written is a failure: exit 1")
def _():
    with open("/dev/full", "w") as full:
        done = subprocess.run([program("sluice"), "help"], stdout=full, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, check=False)
    equal(done.returncode, 1)
    contains(done.stderr.decode(), "cannot write")


@case("a wrong command line exits 2 and says what is wrong")
def _():
    contains(sluice(None, "nope", status=2).err, "nope")
    sluice(None, status=2)
    contains(sluice(None, "submit", status=2).err, "missing", "sluice submit --help")
    contains(sluice(None, "stats", "much", status=2).err, "too many")
    contains(sluice(None, "stats", "--nope", status=2).err, "--nope")
    contains(sluice(None, "status", "xyz", status=2).err, "xyz")
    contains(sluice(None, "submit", "s", "{bad", status=2).err, "JSON", "column")
    contains(sluice(None, "submit", "s", "--attempts", "101", status=2).err, "1 to 100")
    year_ms = 366 * 24 * 3600 * 1000
    for command in (["submit", "s", "{}", "--deadline-ms"], ["submit", "s", "{}", "--queue-ttl-ms"],
                    ["submit", "s", "{}", "--lease-ms"], ["ask", "why?", "--deadline-ms"]):
        contains(sluice(None, *command, str(year_ms + 1), status=2).err, "1 to %d" % year_ms)
    contains(sluice("udp://x", "stats", status=2).err, "udp://x", "tcp://HOST:PORT")
    contains(sluice("tcp://nowhere", "stats", status=2).err, "tcp://nowhere")
    # Not port 24570, which is what 16 bits make of it.
    contains(sluice("tcp://127.0.0.1:90106", "stats", status=2).err, "1 to 65535")
    contains(sluice("tcp://127.0.0.1:0", "stats", status=2).err, "1 to 65535")
    contains(sluice(None, "list", "--state", "bogus", status=2).err, "cancelling", "ended")
    submit = ["submit", "s", "{}"]
    contains(sluice(None, *submit, "--at", "2026-02-30T10:00Z", status=2).err, "2026-02-30")
    contains(sluice(None, *submit, "--delay", "1s", "--at", "2026-12-01T10:00", status=2).err,
             "--delay and --at")
    contains(sluice(None, "limit", "s", "--key", "", "--rate", "1", status=2).err, "--key is empty")
    contains(sluice(None, "pause", "s", "--for", "0", status=2).err, "--for 0")
    contains(sluice(None, "bench", "echo", "--payload", "3", status=2).err, "--payload")
    sluice(None, "bench", "nope", status=2)


@case("no broker: says so at once, names the endpoint and how to start one")
def _():
    missing = ["tcp://127.0.0.1:%d" % free_port(), "ipc:///nonexistent/sluice"]
    for endpoint in missing:
        for command in (["stats"], ["ask", "why?"], ["submit", "s", "{}"], ["top", "--once"]):
            run = sluice(endpoint, *command, status=3)
            contains(run.err, endpoint, "sluice-broker", "deploy/cluster.sh up", "--broker")
            equal(run.out, "", "standard output")
            check("refused" in run.err or "No such file" in run.err, "it was waited for: " + run.err)


@case("something that listens but does not answer is no broker")
def _():
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = "tcp://127.0.0.1:%d" % server.getsockname()[1]
        contains(sluice(endpoint, "stats", status=3).err, endpoint, "does not answer")


@case("--broker wins over the environment, before and after the command")
def _():
    with Broker() as broker:
        dead = "tcp://127.0.0.1:%d" % free_port()
        sluice(dead, "stats", "--broker", broker.endpoint)
        sluice(dead, "--broker", broker.endpoint, "stats")
        sluice(dead, "--broker=" + broker.endpoint, "stats")
        sluice(dead, "stats", status=3)


# ------------------------------------------------------------------ submit

@case("submit prints the result as JSON")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker:
        worker.offer("double", 4)
        run = Cli(broker, "submit", "double", '{"n": 21, "text": "h\u00e9"}')
        task = worker.task()
        asked = msgpack.unpackb(task[4])
        equal(asked, {"n": 21, "text": "h\u00e9"})
        worker.done(task, msgpack.packb({"n": 2 * asked["n"], "raw": b"\x00\xff"}))
        answer = json.loads(run.expect(0).out)
        equal(answer["n"], 42)
        equal(answer["raw"], {"$bin": "AP8="})


@case("submit reads standard input, passes its options on, and --json tells all")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker:
        worker.offer("echo", 4)
        run = Cli(broker, "submit", "echo", "-", "--deadline-ms", "60000", "--lease-ms", "30000",
                  "--json", stdin=b'{"a": [1, 2.5, null, true]}')
        task = worker.task()
        check(0 < task[5]["deadline_ms"] <= 60000, "the deadline is %s" % task[5])
        equal(task[5]["lease_ms"], 30000)
        worker.done(task, task[4])
        line = json.loads(run.expect(0).out)
        equal(line["id"], text_id(task[1]))
        equal(line["outcome"], "done")
        equal(line["result"], {"a": [1, 2.5, None, True]})
        equal(line["worker"], "worker")
        equal(line["attempt"], 1)


@case("a result that JSON cannot say is not left out")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker:
        worker.offer("echo", 4)
        for payload, raw in (b"\x81\x01\x02", "gQEC"), (b"", None):
            run = Cli(broker, "submit", "echo", "{}", "--json")
            worker.done(worker.task(), payload)
            equal(json.loads(run.expect(0).out)["result"], raw and {"$raw": raw})


@case("a failure exits 1 and tells code, message and what to do")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker:
        worker.offer("fails", 4)
        run = Cli(broker, "submit", "fails", "{}")
        worker.fail(worker.task(), "no_such_city", "There is no Atlantis.")
        run.expect(1)
        contains(run.err, "no_such_city", "There is no Atlantis.", "failed")
        equal(run.out, "", "standard output")
        run = Cli(broker, "submit", "fails", "{}", "--json")
        worker.fail(worker.task(), "no_such_city", "There is no Atlantis.")
        line = json.loads(run.expect(1).out)
        equal(line["outcome"], "failed")
        equal(line["error"]["code"], "no_such_city")


@case("an unknown service is refused with advice; --wait waits for it")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker:
        contains(sluice(broker, "submit", "nobody", "{}", status=1).err,
                 "unknown_service", "sluice services", "--wait")
        run = Cli(broker, "submit", "later", "{}", "--wait")
        worker.offer("later", 1)
        worker.serve_one()
        run.expect(0)


@case("a task that does not start gives its id, and why takes it")
def _():
    with Broker() as broker:
        waiting = Cli(broker, "submit", "no.such", "--wait")
        lines = iter(waiting.child.stderr.readline, b"")  # a sanitizer may speak first
        line = next((l.decode() for l in lines if b"waiting" in l), "")
        contains(line, "waiting for no.such", "sluice why ")
        contains(sluice(broker, "why", line.split()[-1]).out, "no_worker")
        waiting.child.send_signal(signal.SIGINT)
        waiting.expect(1)


@case("a detached task that the broker does not take yet is named, and Ctrl-C takes it back")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker:
        worker.offer("shut", 1)
        sluice(broker, "drain", "service", "shut")
        held = Cli(broker, "submit", "shut", "--detached")
        line = next((l.decode() for l in iter(held.child.stderr.readline, b"")
                     if b"not taken yet" in l), "")
        contains(line, "refuses shut for now", "sluice services")
        held.child.send_signal(signal.SIGINT)
        contains(held.expect(1).err, "cancelled")
        sluice(broker, "undrain", "service", "shut")
        sluice(broker, "why", line.split()[0], status=1)  # it was never there


@case("a deadline that passes is said to have expired")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker:
        worker.offer("slow", 1)
        contains(sluice(broker, "submit", "slow", "{}", "--deadline-ms", "50", status=1).err,
                 "expired", "--deadline-ms")


@case("Ctrl-C cancels the task, waits until it has stopped, and says so")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker:
        worker.offer("slow", 1)
        run = Cli(broker, "submit", "slow", "{}")
        task = worker.task()
        run.child.send_signal(signal.SIGINT)
        equal(worker.wait(CANCEL_OUT)[1], task[1])
        worker.fail(task, "cancelled", "stopped")
        contains(run.expect(1).err, "cancelling", "cancelled")


@case("a wait that is interrupted ends, though the broker has gone")
def _():
    with Broker("--ping-ms", "100", "--silence-ms", "400", expect_exit=True) as broker, \
            Peer(broker, "worker") as worker:
        worker.offer("busy", 1)
        waiting = Cli(broker, "submit", "busy", "{}")
        worker.task()
        broker.kill()
        waiting.child.send_signal(signal.SIGTERM)
        run = waiting.expect(128 + signal.SIGTERM)
        contains(run.err, "cancelling", "there is no broker to cancel the task")


@case("ask shows the steps on standard error and the report on standard output")
def _():
    with Broker() as broker, Peer(broker, "research") as worker:
        worker.offer("research.ask", 1)
        run = Cli(broker, "ask", "What is a sluice?")
        task = worker.task()
        equal(msgpack.unpackb(task[4])["question"], "What is a sluice?")
        worker.send([10, task[1], task[2], msgpack.packb({"text": "searching", "done": 1, "total": 3})])
        worker.done(task, msgpack.packb({"markdown": "# A gate\n\nfor water [1]"}))
        run.expect(0)
        equal(run.out, "# A gate\n\nfor water [1]\n")
        contains(run.err, "searching (1/3)")
        run = Cli(broker, "ask", "What is a sluice?", "--json")
        worker.serve_one(lambda payload: msgpack.packb({"markdown": "x", "claims": []}))
        equal(json.loads(run.expect(0).out), {"markdown": "x", "claims": []})


@case("what is missing is named by the command that misses it")
def _():
    with Broker() as broker:
        contains(sluice(broker, "cron", "list", status=1).err, "no cron agent", "sluice-cron")
        contains(sluice(broker, "drain", "service", "nosuch", status=1).err, "sluice services")
        said = sluice(broker, "tail", "01890a5d-ac96-774b-bcce-b302099a8057", status=1).err
        check("no such task" in said and "broker_error" not in said, said)


@case("ask without research agents says what to start")
def _():
    with Broker() as broker:
        contains(sluice(broker, "ask", "why?", status=1).err, "unknown_service", "cluster.sh up")


# ------------------------------------------------------------------ inspect

@case("status, why, tree and cancel follow a task from waiting to its end")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker, Peer(broker, "asker") as asker:
        worker.offer("busy", 1)
        first, second = asker.submit("busy"), asker.submit("busy")
        task = worker.task()
        equal(task[1], first)
        status = json.loads(sluice(broker, "status", text_id(first), "--json").out)
        equal((status["state"], status["worker"]), ("leased", "worker"))
        contains(sluice(broker, "status", text_id(first)).out, "leased", "worker", "busy")
        contains(sluice(broker, "why", text_id(second)).out, "no_credit")
        contains(sluice(broker, "tree", text_id(first)).out, "SERVICE", "busy", "leased")
        tree = json.loads(sluice(broker, "tree", text_id(first), "--json").out)
        equal(len(tree["tasks"]), 1)
        contains(sluice(broker, "cancel", text_id(second)).out, "cancelled", "1 task")
        equal(asker.result(second).outcome, "cancelled")
        equal(json.loads(sluice(broker, "status", text_id(second), "--json").out)["state"],
              "cancelled")
        for state in ("waiting", "ready", "delayed", "leased", "cancelling", "storing", "done",
                      "failed", "cancelled", "expired", "ended"):
            equal(json.loads(sluice(broker, "list", "--state", state, "--json").out), [], state)


@case("tree shows what is below a task, and with --family all that it belongs to")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker, Peer(broker, "asker") as asker:
        worker.offer("upper", 1)
        worker.offer("lower", 4)
        asker.submit("upper")
        top = worker.task()
        middle = worker.submit("lower", parent=top[1], parent_attempt=1)
        held = worker.task()
        bottom = worker.submit("lower", parent=middle, parent_attempt=1)
        worker.submit("lower", parent=top[1], parent_attempt=1)
        worker.done(worker.task())
        worker.done(worker.task())
        below = json.loads(sluice(broker, "tree", text_id(middle), "--json").out)["tasks"]
        equal([(t["id"], t["state"]) for t in below],
              [(text_id(middle), "leased"), (text_id(bottom), "done")])
        family = json.loads(sluice(broker, "tree", text_id(bottom), "--family", "--json").out)
        equal([(t["service"], t["state"], t["depth"]) for t in family["tasks"]],
              [("upper", "leased", 0), ("lower", "leased", 1), ("lower", "done", 2),
               ("lower", "done", 1)])
        contains(sluice(broker, "tree", text_id(bottom), "--family").out, "WAITED", "RAN", "worker")
        worker.done(held)
        worker.done(top)


@case("an unknown task is not found: exit 1")
def _():
    with Broker() as broker:
        for command in ("status", "why", "tree", "cancel"):
            contains(sluice(broker, command, text_id(new_id()), status=1).err, "not_found")


@case("services, peers, stats and top show what is there")
def _():
    with Broker() as broker, Peer(broker, "a-worker") as worker:
        worker.offer("some.service", 7, about="Does something.", version="1.2")
        table = sluice(broker, "services").out
        contains(table, "SERVICE", "some.service", "Does something.", "1.2")
        check("\033" not in table, "colour without a terminal")
        row = json.loads(sluice(broker, "services", "--json").out)[0]
        equal((row["service"], row["workers"], row["credit"]), ("some.service", 1, 7))
        contains(sluice(broker, "peers").out, "a-worker")
        stats = [line.split()[0] for line in sluice(broker, "stats").out.splitlines()]
        contains(stats, "peers", "submitted", "queued", "queued_bytes")
        equal(len(stats), len(set(stats)), "two lines of the same name")
        equal(json.loads(sluice(broker, "stats", "--json").out)["services"], 1)
        contains(sluice(broker, "top", "--once").out, "some.service", "a-worker", "submitted")
        contains(sluice(broker, "top").out, "some.service")


@case("lists have every page: 250 services")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker:
        for i in range(250):
            worker.send([2, "service.%03d" % i, 1, {}])
        worker.ping()
        rows = json.loads(sluice(broker, "services", "--json").out)
        equal(sorted(r["service"] for r in rows), ["service.%03d" % i for i in range(250)])


@case("top on a terminal refreshes until q")
def _():
    with Broker() as broker:
        master, slave = pty.openpty()
        child = subprocess.Popen([program("sluice"), "top", "--interval-ms", "100", "--broker",
                                  broker.endpoint], stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        try:
            seen, deadline = b"", Deadline(10)
            while seen.count(b"q leaves") < 3:
                ready, _, _ = select.select([master], [], [], deadline.left())
                check(ready, "top showed only: %r" % seen)
                seen += os.read(master, 65536)
            os.write(master, b"q")
            while child.poll() is None:  # a terminal nobody reads blocks its writer
                ready, _, _ = select.select([master], [], [], 0.05)
                if ready:
                    try:
                        os.read(master, 65536)
                    except OSError:
                        break
                check(not deadline.passed(), "q did not end it")
            equal(child.wait(10 * SLOW), 0, "exit status")
        finally:
            child.kill()
            child.wait()
            os.close(master)


# -------------------------------------------------------------------- bench

ECHO = ("bench", "echo", "--tasks", "3000", "--window", "100", "--json")
FIELDS = ("tasks_per_s", "p50_us", "p99_us", "p999_us", "lost", "duplicated", "corrupt",
          "cpu_s_per_million", "payload", "window", "workers", "tasks", "wall_s")


def check_echo(result, payload):
    for field in FIELDS:
        check(field in result, "no %s in %s" % (field, result))
    equal((result["lost"], result["duplicated"], result["corrupt"]), (0, 0, 0))
    equal((result["tasks"], result["payload"]), (3000, payload))
    equal(sorted(result["cpu_s_per_million"]), ["broker", "submitter", "workers"])


@case("bench echo checks every reply, over tcp and ipc, small and attached payloads")
def _():
    for transport in ("tcp", "ipc"):
        for payload in (64, 20000):
            run = sluice(None, *ECHO, "--transport", transport, "--payload", str(payload))
            equal(len(run.out.splitlines()), 1, "lines printed")
            check_echo(json.loads(run.out), payload)


@case("bench uses a broker that is named, and leaves it running")
def _():
    with Broker() as broker:
        result = json.loads(sluice(None, *ECHO, "--broker", broker.endpoint).out)
        check_echo(result, 64)
        equal(result["cpu_s_per_million"]["broker"], None)


@case("bench gather: tasks that wait do so at the same time")
def _():
    result = json.loads(sluice(None, "bench", "gather", "--tasks", "5", "--work-ms", "1000",
                               "--json").out)
    equal(result["done"], 5)
    check(1 <= result["wall_s"] < 5, "faster than one of them, or one after another: %s" % result)


def bench_json(*words):
    """The one line that a benchmark prints with --json."""
    run = sluice(None, "bench", *words, "--json")
    equal(len(run.out.splitlines()), 1, "lines printed")
    return json.loads(run.out)


@case("bench echo: clients in processes of their own, and large payloads")
def _():
    for clients, options in (("3", ("--transport", "ipc")), ("2", ("--payload", "1048576"))):
        result = bench_json("echo", "--clients", clients, "--tasks", "20", "--window", "7", *options)
        equal((result["clients"], result["tasks"], result["window"]), (int(clients), 20, 7))
        equal((result["lost"], result["duplicated"], result["corrupt"]), (0, 0, 0))
        check(0 < result["p50_us"] <= result["max_us"], "latency: %s" % result)
    # No more payloads under way than fit, by default.
    equal(bench_json("echo", "--payload", "1048576", "--tasks", "1")["window"], 64)
    contains(sluice(None, "bench", "echo", "--payload", "1048576", "--window", "257",
                    status=2).err, "--window 256")
    contains(sluice(None, "bench", "echo", "--clients", "5", "--window", "4", status=2).err, "clients")


def check_load(load, tasks):
    equal((load["lost"], load["duplicated"], load["corrupt"], load["failed"]), (0, 0, 0, 0))
    equal(load["tasks"], tasks)
    equal(sorted(load["cpu_s_per_million"]), ["broker", "submitter", "workers"])
    times = [load[name] for name in ("p50_us", "p90_us", "p99_us", "p999_us", "max_us")]
    check(0 < times[0] and times == sorted(times), "percentiles: %s" % times)
    check(load["late"] <= tasks, "more late than sent: %s" % load)


@case("bench load: an open loop at a rate, or at shares of the peak it finds")
def _():
    result = bench_json("load", "--rate", "2000", "--duration", "250ms")
    equal((result["peak_tasks_per_s"], len(result["loads"]), result["good"]), (None, 1, True))
    check_load(result["loads"][0], 500)
    # The last one is due 499 intervals after the first: no schedule ends before that.
    check(result["loads"][0]["wall_s"] >= 499 / 2000, "too early: %s" % result)
    result = bench_json("load", "--percent", "5,10", "--tasks", "2000", "--duration", "100ms")
    equal([load["percent"] for load in result["loads"]], [5, 10])
    for load in result["loads"]:
        share = result["peak_tasks_per_s"] * load["percent"] / 100
        check(abs(load["rate"] - share) <= 1, "%d %% is no %d/s" % (load["percent"], load["rate"]))
        check_load(load, load["rate"] * 100 // 1000)
    contains(sluice(None, "bench", "load", "--percent", "50,,80", status=2).err, "--percent")
    contains(sluice(None, "bench", "load", "--help").out, "--rate", "--percent", "Late: ")


@case("bench idle: agents join, ping and are answered, in as few processes as can be")
def _():
    result = bench_json("idle", "--agents", "3,12", "--duration", "100ms", "--echo", "1000")
    equal(([step["agents"] for step in result["steps"]], result["processes"]), ([3, 12], 2))
    equal((result["missed"], result["lost"], result["good"]), (0, 0, True))
    # Each has said one as it joined, and of each at most the last has no answer yet.
    check(result["pings"] >= 12 and result["pings"] - result["pongs"] <= 12, "pings: %s" % result)
    for step in result["steps"]:
        check(step["ratio"] > 0 and step["broker_cpu_s_per_s"] >= 0, "step: %s" % step)
    contains(sluice(None, "bench", "idle", "--agents", "10,10", status=2).err, "--agents")
    limited = ("bash", "-c", "ulimit -n 300 && exec %s bench idle --agents 100" % program("sluice"))
    run = subprocess.run(limited, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30 * SLOW)
    equal(run.returncode, 1, "exit status with too few files")
    contains(run.stderr.decode(), "open files", "ulimit -Hn")


@case("bench depth: tasks that wait, for a worker or for a time, of any size")
def _():
    for payload, options in ((64, ()), (64, ("--delayed",)), (20000, ())):
        result = bench_json("depth", "--tasks", "1500", "--echo", "1000", "--payload", str(payload),
                            *options)
        equal((result["tasks"], result["payload"], result["delayed"], result["good"]),
              (1500, payload, bool(options), True))
        check(result["tasks_per_s"] > 0 and result["ratio"] > 0, "echo: %s" % result)
        # Resident pages are what is counted: of so few tasks that says only that they are there.
        check(result["bytes_per_task_overhead"] > -payload, "memory: %s" % result)


@case("bench spread: echo over keys, and over services")
def _():
    for options, spread in ((("--keys", "50"), (50, 0)), (("--keys", "0", "--services", "20"), (0, 20))):
        result = bench_json("spread", "--echo", "1000", *options)
        equal((result["keys"], result["services"], result["good"]), (*spread, True))
        check(result["ratio"] > 0 and result["broker_cpu_ratio"] > 0, "ratios: %s" % result)


@case("bench durable: receipts, and as many arrivals that go straight to the disk")
def _():
    with tempfile.TemporaryDirectory() as directory:
        result = bench_json("durable", "--tasks", "5000", "--window", "200", "--receipts", "240ms",
                            "--directory", directory)
        equal((result["tasks"], result["good"]), (5000, True))
        check(0 < result["commits"] <= result["records"], "commits: %s" % result)
        equal(result["disk_arrivals"], result["receipts"])
        equal(result["receipts"], 12 * (result["receipts_per_s"] * 20 // 1000))
        for what in ("receipt", "disk", "fdatasync"):
            check(0 < result[what + "_p50_us"] <= result[what + "_p99_us"], "%s: %s" % (what, result))
        equal(os.listdir(directory), [], "files left")
    missing = sluice(None, "bench", "durable", "--directory", "/nonexistent", status=1).err
    contains(missing, "cannot write to /nonexistent", "--directory")


@case("bench recovery: a broker that was killed has all durable tasks again")
def _():
    with tempfile.TemporaryDirectory() as directory:
        result = bench_json("recovery", "--tasks", "500", "--payload", "200",
                            "--directory", directory)
        equal((result["tasks"], result["lost"], result["duplicated"], result["corrupt"],
               result["good"]), (500, 0, 0, 0, True))
        check(0 < result["listens_s"] <= result["loaded_s"], "loaded before it listened")
        check(result["listens_s"] <= result["first_task_s"], "a task before it listened")
        equal(os.listdir(directory), [], "files left")


@case("a benchmark that needs a broker of its own says so when it is given another")
def _():
    for kind in ("depth", "spread", "durable", "idle", "recovery", "cancel"):
        error = sluice(None, "bench", kind, "--broker", "tcp://127.0.0.1:1", status=2).err
        contains(error, "bench %s: it needs a broker of its own" % kind)
        contains(sluice(None, "bench", kind, "--help").out, "Always a broker of its own.")


@case("bench cancel: each task ends cancelled, once")
def _():
    result = bench_json("cancel", "--tasks", "300", "--running", "20", "--echo", "1000")
    equal((result["tasks"], result["running"], result["good"]), (300, 20, True))
    equal((result["lost"], result["other_outcomes"], result["left"]), (0, 0, 0))
    check(0 < result["p50_ms"] <= result["max_ms"], "outcomes: %s" % result)
    check(result["asked_s"] <= result["all_s"], "all had stopped before they were asked to")


@case("bench streams: all chunks come in order, and no worker runs ahead")
def _():
    result = bench_json("streams", "--streams", "3", "--chunks", "600", "--payload", "100",
                        "--window", "5")
    equal((result["streams"], result["chunks"], result["good"]), (3, 600, True))
    equal([result[name] for name in ("lost", "duplicated", "corrupt", "misplaced", "failed")],
          [0] * 5)
    check(0 < result["held_chunks"] <= 256 + 5, "sent ahead: %s" % result)


@case("the floor prints the same fields")
def _():
    run = subprocess.run([program("sluice-bench-proxy"), "--tasks", "3000", "--json"],
                         stdout=subprocess.PIPE, timeout=30 * SLOW, check=True)
    check_echo(json.loads(run.stdout), 64)


LONG_ECHO = ("echo", "--tasks", "100000000", "--transport", "ipc")
LONG_DURABLE = ("durable", "--tasks", "100000000")


def bench_under_way(directory, words=LONG_ECHO):
    """A long benchmark with its files in `directory`, and the processes it has started."""
    bench = subprocess.Popen([program("sluice"), "bench", *words], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, cwd=directory,
                             env=dict(os.environ, TMPDIR=directory))
    deadline = Deadline(10)
    while len(children_of(bench.pid)) < 3:
        check(not deadline.passed() and bench.poll() is None, "the benchmark did not start")
        time.sleep(0.01)  # starting processes is no event for us
    return bench, children_of(bench.pid)


@case("whatever ends a benchmark ends its processes")
def _():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with tempfile.TemporaryDirectory() as directory:
            bench, children = bench_under_way(directory)
            bench.send_signal(number)
            bench.wait(10 * SLOW)
            wait_gone(children)
            if number != signal.SIGKILL:
                equal(os.listdir(directory), [], "files left")


@case("a benchmark that is interrupted leaves no store")
def _():
    with tempfile.TemporaryDirectory() as directory:
        bench, children = bench_under_way(directory, LONG_DURABLE)
        check(os.listdir(directory) != [], "there is no store to leave")
        bench.send_signal(signal.SIGINT)
        bench.wait(10 * SLOW)
        wait_gone(children)
        equal(os.listdir(directory), [], "files left")


main()
