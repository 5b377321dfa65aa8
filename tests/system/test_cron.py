#!/usr/bin/python3
"""sluice-cron: what is planned runs at its time and once, whoever plans it and who is killed meanwhile."""
import datetime
import json
import os
import re
import shlex
import signal
import sys
import tempfile
import time

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "chaos"))
sys.dont_write_bytecode = True
from director import Child, chaos_program  # noqa: E402
from sluice_test import (CANCEL, CANCEL_OUT, REPLY, ROOT, SLOW, TASK, Broker, Peer, Process, case, check, equal,
                         log_field, main, program, run)

TRIES = 5  # of what depends on the moment at which it begins
EVERY = {"name": "tick", "every": "1s", "service": "echo", "payload": {"n": 1}}


class Folder(tempfile.TemporaryDirectory):
    """A private folder for configuration and state."""

    def write(self, name, value):
        path = os.path.join(self.name, name)
        with open(path, "w") as file:
            file.write(value if isinstance(value, str) else json.dumps(value))
        return path

    def config(self, *entries):
        return self.write("cron.json", {"entries": list(entries)})

    def path(self, name):
        return os.path.join(self.name, name)

    def read(self, name):
        with open(self.path(name)) as file:
            return json.load(file)

    def __enter__(self):
        return self


class Cron(Process):
    def __init__(self, broker, *options, name="cron-1"):
        Process.__init__(self, [program("sluice-cron"), "--broker", broker.endpoint, "--name", name,
                                *options])

    def stop(self):
        self.signal(signal.SIGTERM)
        equal(self.wait_exit(), 0, "exit status")


class Proxy:
    """Between an agent and `broker`."""

    def __init__(self, broker):
        self.child = Child([chaos_program("fault_proxy"), broker.endpoint.rsplit(":", 1)[1]], dict(os.environ))
        self.endpoint = "tcp://127.0.0.1:" + self.child.wait_line("listening").split()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.bury()

    def tell(self, line):
        after = len(self.child.lines)
        self.child.tell(line)
        self.child.wait_line("ok", after=after)


def moment(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z").timestamp()


def planned_ms(task_id):
    """Ids begin with the planned time."""
    return int.from_bytes(task_id[:6], "big")


def call(peer, service, /, **arguments):
    """The result of a task: (outcome, value or error)."""
    result = peer.result(peer.submit(service, msgpack.packb(arguments), if_absent="wait"))
    if result.outcome == "done":
        return "done", msgpack.unpackb(result.body)
    return result.outcome, result.body


def good(peer, service, /, **arguments):
    outcome, value = call(peer, service, **arguments)
    equal(outcome, "done", "outcome of %s: %s;" % (service, value))
    return value


def refused(peer, service, code, /, **arguments):
    outcome, error = call(peer, service, **arguments)
    equal((outcome, error.get("code")), ("failed", code), "outcome and code: %s;" % error)
    return error["message"]


@case("a run begins at its time, with its payload, and its outcome is seen")
def _():
    with Broker() as broker, Folder() as folder, Peer(broker, "worker") as worker:
        worker.offer("echo", 4)
        with Cron(broker, "--config", folder.config(EVERY)) as cron:
            for _ in range(3):
                task = worker.task()
                late_ms = time.time() * 1000 - planned_ms(task[1])
                check(0 <= late_ms < 5000 * SLOW, "a run began %d ms after its time" % late_ms)
                equal(msgpack.unpackb(task[4]), {"n": 1})
                worker.done(task)
            cron.wait_line("cron_ended entry=tick")
            cron.stop()


@case("two agents side by side run everything once")
def _():
    with Broker() as broker, Folder() as folder, Peer(broker, "worker") as worker:
        worker.offer("echo", 4)
        path = folder.config(EVERY)
        with Cron(broker, "--config", path) as one, Cron(broker, "--config", path, name="cron-2") as two:
            times = []
            for _ in range(4):
                task = worker.task()
                times.append(planned_ms(task[1]))
                worker.done(task)
            equal(len(set(times)), 4, "different times among %s" % times)
            equal(times, sorted(times))
            one.stop()
            two.stop()


@case("the other agent's run is followed, not run again")
def _():
    start = int(time.time())
    entry = {"name": "soon", "every": "2s", "service": "echo"}
    with Broker() as broker, Folder() as folder, Peer(broker, "worker") as worker:
        worker.offer("echo", 4)
        path = folder.config(entry)
        with Cron(broker, "--config", path) as one, Cron(broker, "--config", path, name="cron-2") as two:
            seen = set()
            while not seen or "by=another" not in one.output() + two.output():
                task = worker.task()
                check(task[1] not in seen, "a run came twice")
                seen.add(task[1])
                worker.done(task)
            one.stop()
            two.stop()
        check(all(planned_ms(task) >= start * 1000 for task in seen), "runs are planned ahead")


@case("an agent that is killed and started again goes on where it was, and repeats nothing")
def _():
    with Broker() as broker, Folder() as folder, Peer(broker, "worker") as worker:
        worker.offer("echo", 4)
        options = ("--config", folder.config(dict(EVERY, missed="once")), "--state", folder.path("state"))
        seen = set()
        for _ in range(3):
            with Cron(broker, *options) as cron:
                for _ in range(2):
                    task = worker.task()
                    check(task[1] not in seen, "a run came twice")
                    seen.add(task[1])
                    worker.done(task)
                cron.kill()
        equal(len(seen), 6)


@case("agents are killed in turn: each second has its run, and one")
def _():
    with Broker() as broker, Folder() as folder, Peer(broker, "worker") as worker:
        worker.offer("echo", 100)
        path = folder.config(EVERY)
        agents, times = [Cron(broker, "--config", path, name="cron-%d" % n) for n in (0, 1)], []
        try:
            for round in range(6):
                for agent in agents:
                    agent.wait_line("cron_planned")
                times.append(planned_ms(worker.serve_one()) // 1000)
                agents[round % 2].kill()
                agents[round % 2] = Cron(broker, "--config", path, name="cron-%d" % (round % 2))
        finally:
            for agent in agents:
                agent.kill()
                agent.child.stdout.close()
        worker.ping()
        while any(c.code == TASK for c in worker.inbox):
            times.append(planned_ms(worker.serve_one()) // 1000)
        equal(times, list(range(times[0], times[0] + len(times))), "seconds that have run")


@case("what it has submitted runs though the agent has gone")
def _():
    with Broker() as broker, Folder() as folder, Peer(broker, "worker") as worker:
        worker.offer("echo", 4)
        path = folder.config({"name": "later", "every": "4s", "service": "echo"})
        with Cron(broker, "--config", path) as cron:
            line = cron.wait_line("cron_planned entry=later")
            cron.kill()
        planned = seconds(log_field(line, "planned"))
        task = worker.task()
        equal(planned_ms(task[1]), planned * 1000, "planned time of the run")
        check(time.time() >= planned, "it did not begin too early")
        worker.done(task)


@case("missed: once makes up for the last of the missed times, skip for none")
def _():
    hourly = {"cron": "0 * * * *", "service": "echo"}
    with Broker() as broker, Folder() as folder, Peer(broker, "worker") as worker:
        worker.offer("echo", 4)
        now = time.time()
        if now % 3600 < 60 or now % 3600 > 3540:
            hourly["cron"] = "30 * * * *"
        config = folder.config(dict(hourly, name="once", missed="once", late="2h"),
                               dict(hourly, name="skip"), dict(hourly, name="old", missed="once", late="1s"))
        folder.write("state", {"entries": [], "last": {name: moment(now - 5 * 3600)
                                                      for name in ("once", "skip", "old")}})
        with Cron(broker, "--config", config, "--state", folder.path("state")) as cron:
            task = worker.task()
            age_s = now - planned_ms(task[1]) / 1000
            check(0 < age_s <= 3600, "the last of the missed times has run, of %d s ago" % age_s)
            worker.done(task)
            cron.wait_line("cron_ended entry=once")
            cron.wait_line("cron_missed entry=skip")
            cron.wait_line("cron_missed entry=old")
            worker.ping()
            worker.drain()
            equal([c for c in worker.inbox if c.code == TASK], [], "other runs")
            cron.stop()
        check(seconds(folder.read("state")["last"]["once"]) > now - 3700, "the state knows")


@case("what has failed or was cancelled is not run again by who comes later")
def _():
    with Broker() as broker, Folder() as folder, Peer(broker, "worker") as worker, Peer(broker, "me") as me:
        worker.offer("echo", 4)
        entry = {"cron": "0 0 * * *", "service": "echo", "missed": "once", "late": "2d"}
        config = folder.config(dict(entry, name="fails"), dict(entry, name="stops"))
        begin = moment(time.time() - 2 * 86400)
        state = {"entries": [], "last": {"fails": begin, "stops": begin}}
        for round in (1, 2):
            path = folder.write("state.%d" % round, state)
            with Cron(broker, "--config", config, "--state", path) as cron:
                if round == 1:
                    tasks = {task[1]: task for task in (worker.task(), worker.task())}
                    first, second = tasks.values()
                    worker.fail(first, "broken")
                    me.send([CANCEL, second[1], "enough", 7])
                    worker.fail(worker.wait(CANCEL_OUT, lambda c: c[1] == second[1]), "cancelled")
                    me.wait(REPLY, lambda c: c[1] == 7)
                for name in ("fails", "stops"):
                    line = cron.wait_line("cron_ended entry=" + name)
                    check("outcome=failed code=broken" in line or "outcome=cancelled" in line, line)
                cron.stop()
        worker.ping()
        worker.nothing(TASK)


@case("a broker that is started again finds its agents planning")
def _():
    with Broker() as broker, Folder() as folder:
        with Cron(broker, "--config", folder.config(EVERY)) as cron:
            with Peer(broker, "worker") as worker:
                worker.offer("echo", 4)
                worker.done(worker.task())
            broker.kill()
            broker.restart()
            with Peer(broker, "worker") as worker:
                worker.offer("echo", 4)
                worker.done(worker.task())
            cron.stop()


@case("a run that was lost with the broker and its submitter is submitted by the other agent")
def _():
    with Broker() as broker, Folder() as folder:
        path = folder.config({"name": "soon", "every": "10s", "service": "echo", "wait": True})
        with Cron(broker, "--config", path) as one, Cron(broker, "--config", path, name="cron-2") as two:
            ours = theirs = None
            seen = []
            for agent in (one, two):  # who comes when a time is about to pass lets it pass
                agent.wait_line("connected")
            while ours is None:
                check(len(seen) < TRIES, "neither agent submitted a run:\n" + "\n".join(seen))
                after = len(one.lines)
                line = one.wait_line("cron_planned entry=soon", seconds=15, after=after)
                said = "cron_planned entry=soon planned=%s" % log_field(line, "planned")
                other = two.wait_line(said, seconds=15)
                seen += ["cron-1: %s\ncron-2: %s" % (line, other)]
                if "by=us" in line + other:
                    ours, theirs = (one, two) if "by=us" in line else (two, one)
            after = len(theirs.lines)
            ours.kill()
            broker.kill()
            broker.restart()
            theirs.wait_line("by=us", after=after)
            check("reason=lost" in theirs.output() or "not_found" in theirs.output(), theirs.output())
            theirs.stop()


@case("a durable run and what became of it outlive the broker")
def _():
    with Folder() as folder, Broker("--store", folder.path("tasks.db")) as broker:
        path = folder.config({"name": "soon", "every": "10s", "service": "echo", "wait": True,
                              "durable": True})
        with Cron(broker, "--config", path) as cron:
            planned = log_field(cron.wait_line("cron_planned entry=soon", seconds=15), "planned")
            cron.kill()
            broker.kill()
            broker.restart()
            with Peer(broker, "worker") as worker:
                worker.offer("echo", 4)
                lease = worker.task(15)
                moment = datetime.datetime.fromisoformat(planned.replace("Z", "+00:00"))
                equal(int.from_bytes(bytes(lease[1])[:6], "big"), int(moment.timestamp()) * 1000)


@case("without a broker a run is given up when it is late, and never submitted after that")
def _():
    with Broker() as broker, Folder() as folder:
        with Cron(broker, "--config", folder.config(dict(EVERY, missed="once", late="1s"))) as cron:
            cron.wait_line("connected")
            broker.kill()
            line = cron.wait_line("cron_missed entry=tick")
            check("no_answer" in line, line)
            missed = log_field(line, "task")
            broker.restart()
            with Peer(broker, "worker") as worker:
                worker.offer("echo", 4)
                task = worker.task()
                check(task[1].hex() != missed.replace("-", ""), "it has run")
                worker.done(task)
            cron.stop()


@case("an agent that was cut off gives up its own run, and not that of the others")
def _():
    entry = {"name": "long", "every": "8s", "service": "echo", "missed": "once", "late": "1s"}
    with Broker() as broker, Proxy(broker) as proxy, Folder() as folder, Peer(broker, "worker") as worker:
        worker.offer("echo", 100)
        path = folder.config(entry)
        with Cron(proxy, "--config", path) as cut:
            cut.wait_line("connected")
            proxy.tell("all pause both")
            with Cron(broker, "--config", path, name="cron-2") as other:
                line = cut.wait_line("cron_missed entry=long", seconds=30)
                check("no_answer" in line, line)
                planned = seconds(log_field(line, "planned")) * 1000
                task = worker.wait(TASK, lambda c: planned_ms(c[1]) == planned, 30)
                proxy.tell("all clear both")
                cut.wait_line("cron_planned", seconds=30, after=len(cut.lines))
                worker.ping()
                worker.drain()
                equal([c[1] for c in worker.inbox if c.code == CANCEL_OUT], [], "cancelled runs")
                equal(worker.query("status", task[1])["state"], "leased")
                worker.done(task)
                other.stop()
            cut.stop()


@case("overlap: skip waits for the end of the run before, queue runs one after the other")
def _():
    with Broker() as broker, Folder() as folder, Peer(broker, "worker") as worker:
        worker.offer("echo", 4)
        worker.offer("line", 4)
        config = folder.config(dict(EVERY, overlap="skip"),
                               dict(EVERY, name="line", service="line", overlap="queue"))
        with Cron(broker, "--config", config) as cron:
            first = {}
            while len(first) < 2:
                task = worker.task()
                check(task[3] not in first, "a second run of %s" % task[3])
                first[task[3]] = task
            cron.wait_line("cron_skipped entry=tick")
            worker.ping()
            worker.nothing(TASK)
            for task in first.values():
                worker.done(task)
            again = {worker.task()[3], worker.task()[3]}
            equal(again, {"echo", "line"})
            cron.stop()


@case("a service that is not there yet is tried again; a run that nobody takes is told")
def _():
    with Broker() as broker, Folder() as folder, Peer(broker, "worker") as worker:
        config = folder.config({"name": "eager", "every": "3s", "service": "absent"})
        with Cron(broker, "--config", config) as cron:
            line = cron.wait_line("cron_refused entry=eager")
            check("unknown_service" in line, "says why: " + line)
            worker.offer("absent", 1)
            worker.done(worker.task())
            cron.wait_line("cron_ended entry=eager")
            cron.stop()


@case("entries come and go as tasks, and are there after a restart")
def _():
    with Broker() as broker, Folder() as folder, Peer(broker, "worker") as worker, Peer(broker, "me") as me:
        worker.offer("echo", 4)
        options = ("--state", folder.path("state"))
        with Cron(broker, *options) as cron:
            added = good(me, "cron.add", name="nightly", cron="0 3 * * *", zone="Europe/Berlin",
                         service="echo", payload={"n": 2})
            equal(added["name"], "nightly")
            equal(len(added["next"]), 3)
            refused(me, "cron.add", "exists", name="nightly", every="1s", service="echo")
            good(me, "cron.add", name="tick", every="1s", service="echo")
            worker.done(worker.task())
            cron.kill()
        with Cron(broker, *options) as cron:
            worker.done(worker.task())
            rows = {row["name"]: row for row in good(me, "cron.list")["entries"]}
            equal(set(rows), {"nightly", "tick"})
            equal(rows["nightly"]["next"], added["next"][0])
            good(me, "cron.remove", name="tick")
            refused(me, "cron.remove", "no_such_entry", name="tick")
            good(me, "cron.add", name="nightly", every="1h", service="echo", replace=True)
            row, = good(me, "cron.list", name="nightly")["entries"]
            equal(row["every"], "1h")
            cron.stop()
        equal([entry["name"] for entry in folder.read("state")["entries"]], ["nightly"])


@case("an entry that is removed does not run any more, though the broker has its next run")
def _():
    with Broker() as broker, Folder() as folder, Peer(broker, "worker") as worker, Peer(broker, "me") as me:
        worker.offer("echo", 4)
        with Cron(broker, "--state", folder.path("state")) as cron:
            good(me, "cron.add", name="rare", every="3d", service="echo")
            states, seen = None, []
            while states is None:
                check(len(seen) < TRIES, "no entry was removed before its run:\n" + "\n".join(seen))
                after = len(cron.lines)
                good(me, "cron.add", name="soon", every="8s", service="echo")
                line = cron.wait_line("cron_planned entry=soon", seconds=15, after=after)
                task = bytes.fromhex(log_field(line, "task").replace("-", ""))
                before = me.query("status", task)["state"]
                good(me, "cron.remove", name="soon")
                removed_ms = time.time() * 1000
                seen += ["%s by %d ms, for %s" % (before, planned_ms(task) - removed_ms, line)]
                if removed_ms < planned_ms(task):  # else it may have begun first: once more
                    states = before, me.query("status", task)["state"]
            equal(states, ("delayed", "cancelled"))
            cron.stop()


@case("entries of the file stay the file's, and one agent at a time has a state")
def _():
    with Broker() as broker, Folder() as folder, Peer(broker, "me") as me:
        options = ("--config", folder.config(dict(EVERY, every="1h")), "--state", folder.path("state"))
        with Cron(broker, *options) as cron:
            check("configuration" in refused(me, "cron.remove", "configured", name="tick"), "says where")
            refused(me, "cron.add", "configured", name="tick", every="2h", service="echo", replace=True)
            status, output = run([program("sluice-cron"), *options, "--broker", broker.endpoint])
            equal(status, 2)
            check("another sluice-cron has it" in output, output)
            cron.stop()


PLAIN = {"name": "a", "service": "s"}
BAD = [
    ({}, "name is needed"),
    ({"name": "a b"}, "name: 'a b' is none"),
    ({"name": "a"}, "service is needed"),
    (PLAIN, "cron or every is needed"),
    (dict(PLAIN, cron="* * * * *", every="1s"), "not both"),
    (dict(PLAIN, cron="61 * * * *"), "cron: minute '61': a value is a number from 0 to 59"),
    (dict(PLAIN, cron="0 0 30 2 *"), "it would never run"),
    (dict(PLAIN, every="500ms"), "whole seconds"),
    (dict(PLAIN, every="often"), "every: a time like"),
    (dict(PLAIN, every="400d"), "366 days at most"),
    (dict(PLAIN, every="0" * 30 + "1h"), "every: a time like"),
    (dict(PLAIN, every="1h", retain="0" * 30 + "1h"), "retain: a time like"),
    (dict(PLAIN, cron="* * * * *", zone="Mars/Olympus"), "no time zone 'Mars/Olympus'"),
    (dict(PLAIN, every="1s", zone="UTC"), "no meaning"),
    ({"name": "a", "service": "no such", "every": "1s"}, "service: 'no such'"),
    (dict(PLAIN, every="1s", missed="all"), "missed: skip or once"),
    (dict(PLAIN, every="1s", late="1h"), "late: says for how long"),
    (dict(PLAIN, every="1s", overlap="no"), "overlap: allow, skip or queue"),
    (dict(PLAIN, every="1s", attempts=0), "attempts: a whole number from 1"),
    (dict(PLAIN, every="1s", priority=10), "priority: a whole number from 0 to 9"),
    (dict(PLAIN, every="1s", wait=1), "wait: true or false"),
    (dict(PLAIN, every="1s", durable="yes"), "durable: true or false"),
    (dict(PLAIN, every="1s", payload="x" * 70000), "payload: 65536 bytes at most"),
    (dict(PLAIN, every="1s", payload=json.loads("[" * 40 + "]" * 40)), "nested too deeply"),
    (dict(PLAIN, when="1s"), "there is no 'when'; an entry has name"),
    ("entry", "an entry is an object"),
]


@case("an entry that is wrong is refused with what is wrong, in a file and as a task")
def _():
    with Broker() as broker, Folder() as folder, Peer(broker, "me") as me:
        with Cron(broker, "--state", folder.path("state")) as cron:
            for entry, why in BAD:
                path = folder.config(EVERY, entry)
                status, output = run([program("sluice-cron"), "--check", "--config", path])
                equal(status, 2)
                check("entry 2" in output and why in output, "not '%s': %s" % (why, output))
                if "name" in entry and "service" in entry:
                    outcome, error = call(me, "cron.add", **entry)
                    equal(outcome, "failed")
                    check(why in error["message"] or error["code"] != "bad_entry", str(error))
            equal(good(me, "cron.list")["entries"], [])
            cron.stop()


@case("a file that is wrong is refused with the place")
def _():
    with Folder() as folder:
        for text, why in (('{"entries": [\n{"name" "a"}]}', "cron.json:2:"), ("[]", "it has to be"),
                          ('{"entries": [], "more": 1}', "it has to be"), (None, "No such file")):
            path = folder.write("cron.json", text) if text else folder.path("none")
            status, output = run([program("sluice-cron"), "--check", "--config", path])
            equal(status, 2)
            check(why in output, "not '%s': %s" % (why, output))
        entries = [dict(EVERY, name="e%d" % i) for i in range(1001)]
        status, output = run([program("sluice-cron"), "--check", "--config", folder.config(*entries)])
        check(status == 2 and "1000 entries already" in output, output)
        large = [dict(EVERY, name="e%d" % i, payload="x" * 60000) for i in range(200)]
        status, output = run([program("sluice-cron"), "--check", "--config", folder.config(*large)])
        check(status == 2 and "entry 140" in output and "8 MiB" in output, output)
        status, output = run([program("sluice-cron"), "--check", "--config", folder.config(EVERY, EVERY)])
        check(status == 2 and "already" in output, output)
        status, output = run([program("sluice-cron"), "--check", "--config", folder.config(EVERY)])
        equal((status, output.rpartition(": ")[2]), (0, "1 entries"))


@case("sluice cron shows, adds and removes")
def _():
    def sluice(*arguments):
        return run([program("sluice"), "cron", *arguments, "--broker", broker.endpoint])

    with Broker() as broker, Folder() as folder:
        with Cron(broker, "--state", folder.path("state")) as cron:
            cron.wait_line("connected")
            status, output = sluice("add", '{"name": "daily", "cron": "0 3 * * *", "service": "echo"}')
            equal((status, len(output.splitlines())), (0, 3))
            first = output.splitlines()[0]
            equal(sluice("add", '{"name": "daily", "every": "1h", "service": "echo"}')[0], 1)
            status, output = sluice()
            equal((status, output.splitlines()[1].split()),
                  (0, ["daily", "0", "3", "*", "*", "*", "UTC", "echo", first, "0", "0", "0", "-", "-"]))
            equal(sluice("add", '{"name": "daily", "every": "1h", "service": "echo"}', "--replace")[0], 0)
            status, output = sluice("list", "--json")
            equal([e["every"] for e in json.loads(output)["result"]["entries"]], ["1h"])
            equal(sluice("remove", "daily"), (0, ""))
            equal(sluice("remove", "daily")[0], 1)
            for wrong in (("add",), ("remove",), ("add", "{"), ("list", "x"), ("toast",), ("remove", "x", "--replace")):
                equal(sluice(*wrong)[0], 2, "exit status of %s;" % (wrong,))
            cron.stop()


@case("what cannot be kept is refused, and changes nothing")
def _():
    with Broker() as broker, Folder() as folder, Peer(broker, "me") as me:
        os.mkdir(folder.path("here"))
        with Cron(broker, "--state", folder.path("here/state")) as cron:
            good(me, "cron.add", name="kept", every="1h", service="echo")
            os.rename(folder.path("here"), folder.path("there"))
            refused(me, "cron.add", "state_unwritable", name="new", every="1h", service="echo")
            refused(me, "cron.add", "state_unwritable", name="kept", every="2h", service="echo", replace=True)
            refused(me, "cron.remove", "state_unwritable", name="kept")
            cron.wait_line("cron_state_unwritable")
            row, = good(me, "cron.list")["entries"]
            equal((row["name"], row["every"]), ("kept", "1h"))
            os.rename(folder.path("there"), folder.path("here"))
            good(me, "cron.remove", name="kept")
            cron.stop()
        equal(folder.read("here/state"), {"entries": [], "last": {}})


@case("a payload may hold a NUL, and is there after a restart; other texts may not")
def _():
    with Broker() as broker, Folder() as folder, Peer(broker, "me") as me:
        payload = {"text": "a\0b"}
        with Cron(broker, "--state", folder.path("state")) as cron:
            good(me, "cron.add", name="kept", every="1h", service="echo", payload=payload)
            cron.stop()
        equal(folder.read("state")["entries"][0]["payload"], payload)
        with Cron(broker, "--state", folder.path("state")) as cron:
            for key, value in (("name", "x\0y"), ("service", "x\0y"), ("every", "2h\0s"), ("cron", "@daily\0"),
                               ("zone", "UTC\0x"), ("retain", "1h\0")):
                entry = {"name": "bad", "service": "echo", "every": "1h"}
                if key in ("cron", "zone"):
                    del entry["every"]
                    entry["cron"] = "@daily"
                why = refused(me, "cron.add", "bad_entry", **dict(entry, **{key: value}))
                check(why.startswith(key + ":"), why)
            for service in "cron.list", "cron.remove":
                check("/name: " in refused(me, service, "bad_arguments", name="kept\0x"), service)
            equal([row["name"] for row in good(me, "cron.list")["entries"]], ["kept"])
            cron.stop()


@case("a state that is damaged is not thrown away")
def _():
    with Broker() as broker, Folder() as folder:
        path = folder.write("state", '{"entries": [')
        status, output = run([program("sluice-cron"), "--state", path, "--broker", broker.endpoint])
        equal(status, 2)
        check("state:1:" in output, output)
        with open(path) as file:
            equal(file.read(), '{"entries": [')


@case("a file that is no state is not written over")
def _():
    with Broker() as broker, Folder() as folder:
        for text in ('{"entries": []}', '[1, 2]', '{"last": {}}', '{}'):
            path = folder.write("cron.json", text)
            status, output = run([program("sluice-cron"), "--state", path, "--broker", broker.endpoint])
            equal(status, 2)
            check("no state file of sluice-cron" in output, output)
            with open(path) as file:
                equal(file.read(), text)


@case("what is no entry is refused by the command line")
def _():
    with Broker() as broker:
        for argument, why in (("[1]", "an entry is a JSON object"), ("{", "no JSON")):
            status, output = run([program("sluice"), "--broker", broker.endpoint, "cron", "add", argument])
            equal(status, 2)
            check(why in output, output)


@case("next prints the next times of an expression")
def _():
    def following(*arguments):
        return run([program("sluice-cron"), "next", *arguments])

    status, output = following("30 2 * * *", "--zone", "Europe/Berlin", "--count", "3", "--after",
                               "2027-03-27T00:00:00Z")
    equal(status, 0)
    equal([re.sub(" +", " ", line) for line in output.splitlines()],
          ["2027-03-27T01:30:00Z Saturday 2027-03-27 02:30 CET",
           "2027-03-28T01:00:00Z Sunday 2027-03-28 03:00 CEST",
           "2027-03-29T00:30:00Z Monday 2027-03-29 02:30 CEST"])
    for arguments, why in ((("61 * * * *",), "minute '61'"),
                           (("* * * * *", "--zone", "Mars"), "no time zone"),
                           ((), "one expression is needed"), (("* * * * *", "--count", "0"), "--count needs"),
                           (("* * * * *", "--after", "soon"), "--after needs")):
        status, output = following(*arguments)
        equal(status, 2)
        check(why in output, "not '%s': %s" % (why, output))


@case("the examples of docs/cron.md are good")
def _():
    with open(os.path.join(ROOT, "docs/cron.md")) as file:
        text = file.read()
    config = re.search(r"cat > cron.json <<'END'\n(.*?)\nEND", text, re.DOTALL).group(1)
    with Folder() as folder:
        status, output = run([program("sluice-cron"), "--check", "--config", folder.write("cron.json", config)])
        equal((status, output.rpartition(": ")[2]), (0, "2 entries"))
    command, expected = re.search(r"\$ sluice-cron (next .*?)\n(.*?)```", text, re.DOTALL).groups()
    status, output = run([program("sluice-cron"), *shlex.split(command)])
    equal((status, output.strip()), (0, expected.strip()))


if __name__ == "__main__":
    main()
