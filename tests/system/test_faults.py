#!/usr/bin/python3
"""What dies, hangs or is missing costs time, never a task: every task ends exactly once.

Workers are processes, so that kill -9 and SIGSTOP mean what they say. Submitters are peers
written from PROTOCOL.md, which submit again what has no result, and libsluice's own.
SLUICE_TASKS: how many tasks (1,000).
"""
import json
import os
import signal
import sys
import time

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import (BYE, CANCEL, CANCEL_OUT, ERROR, FAIL, HELLO, OFFER, PING, REPLY, RESULT,
                         SLOW, STARTED, SUBMIT, TASK, WELCOME, Broker, Deadline, Peer, Process,
                         case, check, equal, main, new_id, program, run)

TASKS = int(os.environ.get("SLUICE_TASKS", "1000"))
WINDOW = 400  # tasks under way: far below every default bound


# ---- a worker that can be killed: this file, started with --worker -----------------------

def serve(endpoint, name, credit, work_ms):
    """Echoes until it is killed. Reconnects as PROTOCOL.md section 2 says."""
    peer = Peer(endpoint, name, hello=False, probe=True)
    while True:
        if not peer.inbox and not peer._receive(0.5):
            peer.send([PING, 0])
            continue
        command = peer.inbox.popleft()
        if command.code == ERROR and command.error["code"] == "hello_required":
            peer.send([HELLO, 1, peer.session, name])
        elif command.code == WELCOME:
            peer.send([OFFER, "echo", credit])
        elif command.code == TASK:
            time.sleep(work_ms / 1000)  # this is the work
            peer.done(command, command[4])


class Worker(Process):
    def __init__(self, broker, name, credit=8, work_ms=1):
        super().__init__([sys.executable, os.path.abspath(__file__), "--worker", broker.endpoint, name,
                          str(credit), str(work_ms)])


class Tool(Process):
    """An agent with libsluice: sluice-tool."""

    def __init__(self, broker, name):
        super().__init__([program("sluice-tool"), "--broker", broker.endpoint, "--name", name])


def offering(broker):
    """The names of the peers that serve something."""
    with Peer(broker, "watcher") as watcher:
        return [p["name"] for p in watcher.query("peers")["peers"] if p["offers"]]


# ---- a submitter that loses nothing ---------------------------------------------------------

class Submitter:
    """Keeps what it submitted until it has the result; says HELLO when asked; submits again."""

    def __init__(self, broker, name="submitter"):
        self.peer = Peer(broker, name, hello=False, probe=True)
        self.open = {}     # id -> SUBMIT, in the order of submission
        self.results = {}  # id -> every RESULT that came for it
        self.started = {}  # id -> [(attempt, worker, when)]
        self.welcomes, self.greeting = 0, False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.peer.close()

    def submit(self, service, payload, **options):
        task = new_id()
        self.open[task] = [SUBMIT, task, service, payload, options]
        if self.welcomes and not self.greeting:
            self.peer.send(self.open[task])
        return task

    def handle(self, command):
        if command.code == ERROR and command.error["code"] == "hello_required":
            if not self.greeting:
                self.greeting = True
                self.peer.send([HELLO, 1, self.peer.session, self.peer.name])
        elif command.code == WELCOME:
            self.greeting = False
            self.welcomes += 1
            if self.open:
                self.peer.send(*self.open.values())
        elif command.code == STARTED:
            self.started.setdefault(command[1], []).append((command[2], command[3], time.monotonic()))
        elif command.code == RESULT:
            self.results.setdefault(command[1], []).append(command)
            self.open.pop(command[1], None)

    def run(self, until, seconds, what):
        """Handles what comes until `until()`; fails at the deadline."""
        deadline = Deadline(seconds)
        while not until():
            check(not deadline.passed(), "not within %g s: %s (%d open, %d ended)" %
                  (seconds, what, len(self.open), len(self.results)))
            if self.peer.inbox:
                self.handle(self.peer.inbox.popleft())
            elif not self.peer._receive(0.5) and not self.greeting:
                self.peer.send([PING, 0])

    def pour(self, count, until=lambda: False, seconds=60, **options):
        """Submits `count` tasks, WINDOW at a time, until all have ended or `until()`."""
        payloads = {}

        def go_on():
            while len(payloads) < count and len(self.open) < WINDOW:
                payload = os.urandom(16)
                payloads[self.submit("echo", payload, if_absent="wait", **options)] = payload
            return until() or (len(payloads) == count and not self.open)
        self.run(go_on, seconds, "%d tasks" % count)
        return payloads

    def check_once(self, payloads):
        """Every task has ended exactly once, done, with its own bytes."""
        for task, payload in payloads.items():
            results = self.results.get(task, [])
            equal(len(results), 1, "results of task %s" % task.hex())
            equal(results[0].outcome, "done", "outcome (%s)" % (results[0].body,))
            equal(results[0].body, payload, "result")


@case("a worker killed in the middle of %d tasks loses none; others have its tasks within 2 s" % TASKS)
def _():
    with Broker() as broker, Submitter(broker) as submitter, \
            Worker(broker, "victim") as victim, Worker(broker, "other"):
        first = submitter.pour(TASKS, until=lambda: len(submitter.results) >= TASKS // 3, receipts=True)

        def held_by_victim():
            return [t for t in submitter.open
                    if submitter.started.get(t) and submitter.started[t][-1][1] == "victim"]
        # Stopped, it surely holds tasks when it dies.
        victim.signal(signal.SIGSTOP)
        submitter.run(lambda: len(held_by_victim()) == 8, 20, "the victim holds its credit")
        held = held_by_victim()
        killed_at = time.monotonic()
        victim.kill()

        def moved():
            return [t for t in held if submitter.started[t][-1][1] == "other"]
        # What it had answered just before it was stopped may still arrive, and ends a task.
        submitter.run(lambda: all(t in moved() or t not in submitter.open for t in held), 20,
                      "the victim's tasks start elsewhere")
        check(moved(), "all of %d tasks had been answered" % len(held))
        took_s = max(submitter.started[t][-1][2] for t in moved()) - killed_at
        print("# %d tasks of the killed worker were with another one after %.3f s" % (len(moved()), took_s))
        check(took_s <= 5 * SLOW, "that took %.3f s" % took_s)  # hold_ms is 1 s, silence_ms 15 s
        equal({submitter.started[t][-1][0] for t in moved()}, {2}, "their attempts")

        rest = submitter.pour(TASKS - len(first), receipts=True)
        submitter.check_once({**first, **rest})


@case("a worker killed again and again: every task still ends once, done")
def _():
    with Broker() as broker, Submitter(broker) as submitter, Worker(broker, "steady", work_ms=0):
        payloads = {}
        for round_number in range(5):
            with Worker(broker, "victim-%d" % round_number, work_ms=0) as victim:
                name = "victim-%d" % round_number

                def met_victim():
                    return any(s[-1][1] == name for s in submitter.started.values())
                goal = len(submitter.results) + TASKS // 10
                payloads.update(submitter.pour(
                    TASKS // 5, until=lambda: met_victim() and len(submitter.results) >= goal,
                    receipts=True, attempts=10))
                victim.kill()
        submitter.run(lambda: not submitter.open, 60, "the rest")
        submitter.check_once(payloads)


@case("an agent that crashes in the middle of its handlers loses no task")
def _():
    payload = msgpack.packb({"ms": 50})
    with Broker() as broker, Submitter(broker) as submitter, Tool(broker, "steady"), \
            Tool(broker, "victim") as victim:
        for name in ("steady", "victim"):
            submitter.run(lambda: name in offering(broker), 20, name + " offers tool.sleep")
        tasks = [submitter.submit("tool.sleep", payload, receipts=True) for _ in range(WINDOW)]

        def held_by_victim():
            return [t for t in submitter.open
                    if submitter.started.get(t) and submitter.started[t][-1][1] == "victim"]
        submitter.run(lambda: len(held_by_victim()) >= 10, 20, "the victim runs ten handlers")
        victim.kill()
        submitter.run(lambda: not submitter.open, 60, "all end")
        equal([len(submitter.results[t]) for t in tasks], [1] * len(tasks), "results of each task")
        equal({submitter.results[t][0].outcome for t in tasks}, {"done"}, "outcomes")
        check(any(s[-1][0] == 2 for s in submitter.started.values()), "no task had a second attempt")


@case("a broker killed and started again in the middle of %d tasks loses none" % TASKS)
def _():
    with Broker() as broker, Submitter(broker) as submitter, Worker(broker, "one"), Worker(broker, "two"):
        first = submitter.pour(TASKS, until=lambda: len(submitter.results) >= TASKS // 3)
        check(submitter.open, "nothing was under way")
        broker.kill()
        broker.restart()
        rest = submitter.pour(TASKS - len(first))
        submitter.run(lambda: not submitter.open, 60, "the rest")
        equal(submitter.welcomes, 2, "WELCOMEs")
        submitter.check_once({**first, **rest})


@case("libsluice: a broker killed and started again loses and doubles nothing")
def _():
    tasks = 20 * TASKS
    command = [program("sluice"), "bench", "echo", "--payload", "64", "--window", "200", "--workers", "2",
               "--tasks", str(tasks), "--json"]
    with Broker() as broker, Process(command + ["--broker", broker.endpoint]) as bench:
        with Peer(broker, "watcher") as watcher:
            deadline = Deadline(30)
            while watcher.query("stats")["done"] < tasks // 10:
                check(not deadline.passed() and bench.running(), "bench did nothing: " + bench.output())
            check(watcher.query("stats")["done"] < tasks, "it was over before the broker was killed")
        broker.kill()
        broker.restart()
        equal(bench.wait_exit(60), 0, "exit status of bench, which said %s\n" % bench.output())
        result = json.loads(bench.output()[bench.output().index("{"):])
        equal([result[k] for k in ("lost", "duplicated", "corrupt")], [0, 0, 0],
              "lost, duplicated, corrupt")


@case("a hanging worker is lost, its task goes elsewhere, its late answer changes nothing")
def _():
    with Broker("--ping-ms", "100", "--silence-ms", "600") as broker, \
            Submitter(broker) as submitter, Worker(broker, "hanging", credit=1, work_ms=200) as hanging:
        task = submitter.submit("echo", b"once", if_absent="wait", receipts=True)
        submitter.run(lambda: task in submitter.started, 20, "it starts")
        hanging.signal(signal.SIGSTOP)
        with Worker(broker, "other", work_ms=0):
            submitter.run(lambda: task not in submitter.open, 20, "it ends")
            equal([(a, w) for a, w, _ in submitter.started[task]], [(1, "hanging"), (2, "other")],
                  "attempts")
            hanging.signal(signal.SIGCONT)
            with Peer(broker, "watcher") as watcher:
                # Its connection is no session any more, or its attempt is over: either way it says
                # HELLO again and is back.
                deadline = Deadline(20)
                while not any(p["name"] == "hanging" and p["state"] == "connected" and p["offers"] == 1
                              for p in watcher.query("peers")["peers"]):
                    check(not deadline.passed(), "it did not come back: %s" % watcher.query("peers"))
            submitter.check_once({task: b"once"})


@case("a slow worker keeps only what it holds; the rest goes past it")
def _():
    with Broker() as broker, Submitter(broker) as submitter, Peer(broker, "slow") as slow:
        slow.offer("echo", 2)
        first = [submitter.submit("echo", b"slow") for _ in range(2)]
        submitter.run(lambda: submitter.welcomes, 10, "WELCOME")
        held = [slow.task(), slow.task()]
        equal({t[1] for t in held}, set(first), "what the slow worker holds")
        with Worker(broker, "quick", work_ms=0):
            rest = {}
            for _ in range(200):
                payload = os.urandom(8)
                rest[submitter.submit("echo", payload)] = payload
            submitter.run(lambda: len(submitter.open) == 2, 30, "all but the two end")
            slow.nothing(TASK)
            for task in held:
                slow.done(task, task[4])
            submitter.run(lambda: not submitter.open, 10, "the slow ones end")
            submitter.check_once({**rest, **{t: b"slow" for t in first}})


@case("an unknown service is refused at once, or waited for if asked")
def _():
    with Broker() as broker, Peer(broker, "asker") as asker:
        task = asker.submit("nobody.home", b"x")
        result = asker.result(task)
        equal((result.outcome, result.body["code"], result.body["retryable"]),
              ("refused", "unknown_service", True))
        task = asker.submit("nobody.home", b"x", if_absent="wait")
        asker.ping()
        asker.nothing(RESULT)
        equal(asker.query("why", task)["reason"], "no_worker")
        with Peer(broker, "late") as late:
            late.offer("nobody.home", 1)
            equal(late.serve_one(lambda payload: payload + b"!"), task)
            equal(asker.result(task).body, b"x!")
        status, output = run([program("sluice"), "submit", "nobody.at.all", "{}", "--broker",
                              broker.endpoint])
        equal(status, 1, "exit status of sluice submit")
        check("unknown_service" in output, "it said: " + output)


@case("cancel reaches the whole tree, and says so when all of it has stopped")
def _():
    with Broker() as broker, Peer(broker, "asker") as asker, Peer(broker, "boss") as boss, \
            Peer(broker, "hand") as hand:
        boss.offer("root", 1)
        hand.offer("leaf", 1)
        root = asker.submit("root", b"")
        root_task = boss.task()
        below = {"parent": root, "parent_attempt": root_task[2]}
        running = boss.submit("leaf", b"running", **below)
        leaf_task = hand.task()
        queued = [boss.submit("leaf", b"queued", **below) for _ in range(3)]
        grandchild = hand.submit("leaf", b"deep", parent=running, parent_attempt=leaf_task[2])
        join = boss.submit("", b"", join="all", needs=queued, **below)
        hand.ping()
        boss.ping()

        asker.send([CANCEL, root, "enough", 7])
        boss.wait(CANCEL_OUT, lambda c: c[1] == root)
        hand.wait(CANCEL_OUT, lambda c: c[1] == running)
        asker.ping()
        asker.nothing(REPLY)   # two handlers still run
        asker.nothing(RESULT)
        hand.send([FAIL, running, leaf_task[2], {"code": "cancelled", "message": "stopped"}])
        hand.ping()
        asker.ping()
        asker.nothing(REPLY)   # one still runs
        boss.send([FAIL, root, root_task[2], {"code": "cancelled", "message": "stopped"}])

        reply = asker.wait(REPLY, lambda c: c[1] == 7)
        check(reply[2], "the cancel was refused: %s" % reply[3])
        equal(reply[3]["stopped"], 7, "tasks that were stopped")
        equal(asker.result(root).outcome, "cancelled")
        for task in [running, join] + queued:
            equal(boss.result(task).outcome, "cancelled", "outcome below the root")
        equal(hand.result(grandchild).outcome, "cancelled", "outcome of the grandchild")
        hand.ping()
        hand.nothing(TASK)     # it has room again, and nothing is left to hand out
        stats = asker.query("stats")
        equal((stats["queued"], stats["leased"], stats["cancelled"]), (0, 0, 7))


@case("a submitter that says BYE takes its tasks with it; a worker's BYE gives them back")
def _():
    with Broker() as broker, Peer(broker, "asker") as asker, Peer(broker, "leaving") as leaving, \
            Peer(broker, "staying") as staying:
        leaving.offer("echo", 1)
        kept = asker.submit("echo", b"kept")
        leaving.task()
        staying.offer("echo", 1)
        leaving.send([BYE, ""])
        task = staying.task()
        equal((task[1], task[2]), (kept, 2), "task and attempt")
        staying.done(task, b"kept")
        equal(asker.result(kept).body, b"kept")

        gone = asker.submit("echo", b"gone")
        equal(staying.task()[1], gone)
        asker.bye()
        equal(staying.wait(CANCEL_OUT)[1], gone, "what the worker is told to stop")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        try:
            serve(sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
        except KeyboardInterrupt:
            pass
    else:
        main()
