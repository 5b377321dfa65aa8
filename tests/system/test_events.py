#!/usr/bin/python3
"""sluice events: what happens is shown as it happens, and what was missed is counted."""
import json
import os
import signal
import sys
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import Broker, Deadline, Peer, Process, case, check, equal, main, new_id, program, run


def watching(broker, peer, *options):
    """`sluice events`, when it has seen something: an offer that is made again and again."""
    process = Process([program("sluice"), "events", "--broker", broker.endpoint, *options])
    deadline = Deadline(10)
    while "offered" not in process.output() and not deadline.passed():
        peer.offer("beacon", 1)
        peer.send([3, "beacon"])  # WITHDRAW
        peer.ping()
    check("offered" in process.output(), process.output())
    return process


@case("it shows a task's life")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker, Peer(broker, "asker") as asker:
        with watching(broker, worker) as events:
            worker.offer("echo", 1)
            task = asker.submit("echo", b"x")
            worker.serve_one()
            text = str(uuid.UUID(bytes=bytes(task)))
            line = events.wait_line("done ")
            for word in ("echo", "#1", "worker", text):
                check(word in line, line)
            lines = [line for line in events.output().splitlines() if text in line]
            equal([line.split()[1] for line in lines], ["submitted", "started", "done"])


@case("only of one service, or of one task, as JSON")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker, Peer(broker, "asker") as asker:
        worker.offer("echo", 4)
        with watching(broker, worker, "--json", "--service", "beacon") as events:
            asker.submit("echo", b"x")
            worker.serve_one()
            asker.result()
            worker.offer("beacon", 2)
            seen = [json.loads(line) for line in events.output().splitlines()]
            equal({event["service"] for event in seen}, {"beacon"})
        task = new_id()
        asker.submit("echo", b"x", task)
        text = str(uuid.UUID(bytes=task))
        with Process([program("sluice"), "events", "--broker", broker.endpoint, "--json",
                      "--count", "1", "--task", text]) as one:
            held, deadline = worker.task(), Deadline(10)
            while one.running() and not deadline.passed():  # until it watches
                worker.send([10, held[1], held[2], b""])  # PROGRESS
                worker.ping()
            equal(one.wait_exit(), 0)
            equal([json.loads(line)["task"] for line in one.output().splitlines()], [text])


@case("a watcher that was stopped is told how much it missed, and slowed nobody")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker, Peer(broker, "asker") as asker:
        with watching(broker, worker, "--json") as events:
            worker.offer("echo", 64)
            os.kill(events.child.pid, signal.SIGSTOP)
            for _ in range(2000):
                task = asker.submit("echo", b"x")
                worker.serve_one()
                asker.result(task)
            os.kill(events.child.pid, signal.SIGCONT)
            deadline = Deadline(10)
            lost = 0
            while lost == 0 and not deadline.passed():
                task = asker.submit("echo", b"x")
                worker.serve_one()
                asker.result(task)
                seen = [json.loads(line) for line in events.output().splitlines()]
                lost = sum(event["lost"] for event in seen)
            check(lost > 0, "nothing was lost")
            numbers = [event["sequence"] for event in seen]
            equal(numbers[-1] - numbers[0] + 1, len(seen) + lost, "every event is told or counted")


@case("it goes on when the broker is back")
def _():
    with Broker(expect_exit=True) as broker, Peer(broker, "worker") as worker:
        with watching(broker, worker) as events:
            broker.kill()
            broker.restart()
            with Peer(broker, "another") as another:
                deadline = Deadline(10)
                while "connection was lost" not in events.output() and not deadline.passed():
                    another.offer("echo", 1)
                    another.send([3, "echo"])
                    another.ping()
            check("connection was lost" in events.output(), events.output())


@case("what cannot be watched is named")
def _():
    with Broker() as broker:
        status, output = run([program("sluice"), "events", "--broker", broker.endpoint,
                              "--service", "no such thing"])
        equal(status, 2)
        check("cannot be watched" in output, output)


main()
