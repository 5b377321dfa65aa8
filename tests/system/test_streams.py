#!/usr/bin/python3
"""Streams, checkpoints and signals, from worker to reader, against a real broker.

The peers are tests/system/stream_cases.c, one case a process."""
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
in_process("slow_reader", "a reader that does not read pauses its worker, and then gets all")
in_process("another_reader", "a stream that nobody paced leaves its tail, and an exact gap")
in_process("checkpoint", "the next attempt gets the last checkpoint")
in_process("signals", "signals wake a handler, in order, also those sent before it started")


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


if __name__ == "__main__":
    main()
