#!/usr/bin/python3
"""Streams, checkpoints and signals, from worker to reader, against a real broker.

The peers are tests/system/stream_cases.c, one case a process."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import BUILD, Broker  # noqa: E402
from sluice_test import case, check, equal, main, run  # noqa: E402
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


if __name__ == "__main__":
    main()
