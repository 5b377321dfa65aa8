#!/usr/bin/python3
"""Streams, checkpoints and signals, from worker to reader, against a real broker.

The peers are tests/system/stream_cases.c, one case a process."""
import json
import os
import subprocess
import sys
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import BUILD, Broker, Peer  # noqa: E402
from sluice_test import case, check, equal, main, program, run  # noqa: E402
from wire import Wire  # noqa: E402

CASES = os.path.join(BUILD, "tests", "system", "stream_cases")


def in_process(name, promise):
    @case(promise)
    def _():
        with Broker() as broker:
            status, output = run([CASES, broker.endpoint, broker.endpoint, name], 30)
            check(status == 0, "exit status %d: %s" % (status, output))


in_process("all_of_it", "2,000 chunks come in order through a window of 16")
in_process("wide_window", "and through one of which half is more than the ring holds")
in_process("slow_reader", "a reader that does not read pauses its worker, and then gets all")
in_process("given_up", "a detached task whose future is given up waits for no reader any more")
in_process("another_reader", "a stream that nobody paced leaves its tail, and an exact gap")
in_process("checkpoint", "the next attempt gets the last checkpoint")
in_process("signals", "signals wake a handler, in order, also those sent before it started")
in_process("signal_beside_chunks", "a signal comes through beside chunks that wait for their reader")


@case("a reader cut off in mid-stream misses no chunk")
def _():
    with Broker() as broker, Wire(broker) as wire:
        reader = subprocess.Popen([CASES, broker.endpoint, wire.endpoint, "cut_off"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            for line in reader.stdout:
                equal(line, "cut\n", "output of the reader")
                wire.cut()
                reader.stdin.write("\n")
                reader.stdin.flush()
            equal(reader.wait(30), 0, "exit status of the reader")
        finally:
            reader.kill()
            reader.wait()


def chunk_number(peer):
    return peer.wait(37).field(3)


@case("a reader that comes back later than the ring holds gets an exact gap, and then all")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker, Peer(broker, "asker") as asker:
        worker.offer("talk")
        asker.submit("talk")
        task = worker.task().field(1)
        with Peer(broker, "reader") as reader:
            reader.send([17, task, 0, 0, 2])
            reader.ping()
            worker.send(*[[9, task, 1, number, b"said"] for number in range(5)])
            equal([chunk_number(reader), chunk_number(reader)], [0, 1], "the first two chunks")
        worker.send(*[[9, task, 1, number, b"said"] for number in range(5, 300)])
        worker.ping()
        with Peer(broker, "reader") as reader:
            reader.send([17, task, 1, 2, 1000])
            equal([chunk_number(reader) for _ in range(256)], list(range(44, 300)),
                  "what a ring of 256 still has")


# Counts to 6, one for each line that it is told; keeps how far it is with its task.
COUNTER = """
import sys
sys.path.insert(0, sys.argv[1])
from sluice_test import Peer
worker = Peer(sys.argv[2], "counter")
worker.offer("count")
task = worker.task(60)
number = int(task.field(7) or b"0")
while number < 6:
    sys.stdin.readline()
    number += 1
    worker.send([11, task.field(1), task.field(2), b"%d" % number])
    worker.ping()
    print(number, flush=True)
worker.done(task, b"%d" % task.field(2))
worker.ping()
"""


def counter(broker):
    library = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")
    return subprocess.Popen([sys.executable, "-c", COUNTER, library, broker.endpoint],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def count_on(worker):
    worker.stdin.write("\n")
    worker.stdin.flush()
    return int(worker.stdout.readline())


@case("a worker is killed with -9: the next attempt goes on from its last checkpoint")
def _():
    with Broker() as broker, Peer(broker, "asker") as asker:
        workers = [counter(broker)]
        try:
            task = asker.submit("count", if_absent="wait")
            equal([count_on(workers[0]) for _ in range(4)], [1, 2, 3, 4], "the first attempt")
            workers[0].kill()
            workers.append(counter(broker))
            equal([count_on(workers[1]) for _ in range(2)], [5, 6], "the second attempt")
            equal(asker.result(task).body, b"2", "the attempt that finished it")
        finally:
            for worker in workers:
                worker.kill()
                worker.communicate()


def sluice(broker, *arguments):
    return subprocess.Popen([program("sluice"), *arguments, "--broker", broker.endpoint],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(command):
    out, err = command.communicate(timeout=30)
    equal(command.returncode, 0, "exit status (%s)" % err)
    return out


@case("a worker without the runtime streams; sluice submit, tail and signal show and wake it")
def _():
    with Broker() as broker:
        worker = Peer(broker, "worker")
        worker.offer("talk")
        submitted = sluice(broker, "submit", "talk", "--stream")
        given = worker.task()
        task = given.field(1)
        for number, text in enumerate((b"a ", b"b ", b"c\n")):
            worker.send([9, task, 1, number, text])
        worker.ping()
        tail = sluice(broker, "tail", str(uuid.UUID(bytes=task)))
        equal(tail.stdout.readline(), "a b c\n", "what tail prints of a running task")
        equal(ended(sluice(broker, "signal", str(uuid.UUID(bytes=task)), "7")), "delivered\n",
              "what signal prints")
        equal(worker.wait(40).field(3), b"\x07", "payload of the signal")
        worker.send([9, task, 1, 3, b"d\n"])
        worker.done(given, b"\x2a")
        equal(ended(tail), "d\n", "the rest of it")
        equal(ended(submitted), "a b c\nd\n42\n", "what submit prints")
        equal(ended(sluice(broker, "tail", str(uuid.UUID(bytes=task)))), "a b c\nd\n",
              "the stream of a task that has ended")


@case("a chunk that is no text, and nothing that JSON can say, is printed all the same")
def _():
    with Broker() as broker:
        worker = Peer(broker, "worker")
        worker.offer("talk")
        submitted = sluice(broker, "submit", "talk", "--stream", "--json")
        given = worker.task()
        for number, chunk in enumerate((b"text", b"\x91\xc4\x00", b"\xff\xfe\xc1")):
            worker.send([9, given.field(1), 1, number, chunk])
        worker.done(given, b"\x2a")
        lines = [json.loads(line) for line in ended(submitted).splitlines()[:3]]
        equal(lines[0]["text"], "text", "a text")
        equal(lines[1]["value"], [{"$bin": ""}], "what is MessagePack")
        equal(lines[2]["value"], {"$raw": "//7B"}, "what is not")


if __name__ == "__main__":
    main()
