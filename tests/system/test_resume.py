#!/usr/bin/python3
"""A numbered session does not notice that it lost its connection (PROTOCOL.md, section 2.1).

Agents with libsluice reach the broker through a proxy that cuts their connections. The echo
benchmark checks every reply byte for byte, and that none is missing or comes twice.
SLUICE_TASKS: how many tasks (10,000).
"""
import os
import random
import sys
import tempfile
import time

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "chaos"))
sys.dont_write_bytecode = True
from director import Child, chaos_program  # noqa: E402
from example import extract  # noqa: E402
from sluice_test import SLOW, Broker, Deadline, Peer, Process, case, check, equal, main, program  # noqa: E402

TASKS = int(os.environ.get("SLUICE_TASKS", "10000"))
WAIT_S = 60 * SLOW


class Proxy:
    """Between agents and `broker`."""

    def __init__(self, broker):
        self.child = Child([chaos_program("fault_proxy"), broker.endpoint.rsplit(":", 1)[1]],
                           dict(os.environ))
        port = self.child.wait_line("listening").split()[1]
        self.endpoint = "tcp://127.0.0.1:" + port
        self.tell("new delay both 2")  # or it is over before much is cut

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.bury()

    def tell(self, line):
        after = len(self.child.lines)
        self.child.tell(line)
        return self.child.wait_line("ok", after=after)

    def opened(self):
        """How many connections there have been."""
        return sum(line.startswith("open ") for line in list(self.child.lines))

    def wait_opened(self, before, deadline, over=lambda: False):
        """Until there has been one more, or it is over, or too late."""
        with self.child.changed:
            while self.opened() == before and not over() and not deadline.passed():
                self.child.changed.wait(0.05)  # what it says wakes us; `over` does not


def echo(proxy, tasks, *options):
    return Process([program("sluice"), "bench", "echo", "--broker", proxy.endpoint, "--tasks",
                    str(tasks), "--window", "50", *options])


def wait_begun(broker, done=TASKS // 10):
    deadline = Deadline(WAIT_S)
    while stats(broker)["done"] < done:
        check(not deadline.passed(), "nothing is done")


def stats(broker):
    with Peer(broker, "watcher") as watcher:
        return watcher.query("stats")


def check_exactly_once(broker, bench):
    equal(bench.wait_exit(WAIT_S), 0, "exit code of the benchmark: %s" % " | ".join(bench.lines[-5:]))
    after = stats(broker)
    equal(after["retries"], 0, "retries")
    equal(after["attempts"], after["submitted"], "attempts")
    equal(after["done"], after["submitted"], "done")
    check(after["submitted"] >= TASKS, "submitted %d" % after["submitted"])


def cut_until_over(broker, proxy, bench, verb):
    """Cuts a connection, waits for its successor, again and again. How many cuts."""
    cuts = 0
    deadline = Deadline(WAIT_S)
    while bench.running() and not deadline.passed():
        before = proxy.opened()
        proxy.tell("all %s both" % verb)
        cuts += 1
        proxy.wait_opened(before, deadline, lambda: not bench.running())
        time.sleep(random.random() * 0.2)  # some work gets done meanwhile
    return cuts


@case("%d tasks across many cuts: one attempt and one result each, no lease lost" % TASKS)
def _():
    with Broker("--hold-ms", "60s", "--resume-ms", "60s") as broker, Proxy(broker) as proxy:
        bench = echo(proxy, TASKS)
        wait_begun(broker, 1)  # who does not get through at all says that there is no broker
        cuts = cut_until_over(broker, proxy, bench, "reset")
        check_exactly_once(broker, bench)
        check(cuts >= 5, "only %d cuts" % cuts)


@case("a half-open connection is given up, and nothing is lost with it")
def _():
    with Broker("--ping-ms", "100", "--silence-ms", "400", "--hold-ms", "5s") as broker, Proxy(broker) as proxy:
        bench = echo(proxy, TASKS)
        deadline = Deadline(WAIT_S)
        wait_begun(broker)
        for _ in range(3):
            before = proxy.opened()
            proxy.tell("all swallow both")
            proxy.wait_opened(before, deadline, lambda: not bench.running())
        check_exactly_once(broker, bench)


@case("a broker that was killed knows no session: what has no result is submitted again")
def _():
    with Broker() as broker, Proxy(broker) as proxy:
        bench = echo(proxy, TASKS)
        wait_begun(broker)
        broker.kill()
        broker.restart()
        equal(bench.wait_exit(WAIT_S), 0, "exit code of the benchmark")


def check_answers(asker, worker, count, meanwhile=lambda: None):
    tasks = [asker.submit("demo.steady", msgpack.packb(i), if_absent="wait") for i in range(count)]
    meanwhile()
    results = [asker.result(task, WAIT_S) for task in tasks]
    equal([(r.outcome, msgpack.unpackb(r.body)) for r in results],
          [("done", i) for i in range(count)], "outcomes; the worker said '%s'" % worker.output())


@case("the worker of docs/sessions.md answers each task once, across cuts, and goes on after a restart")
def _():
    with Broker() as broker, Proxy(broker) as proxy, tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "steady.py")
        with open(path, "w") as file:
            file.write(extract("python", "steady.py", "docs/sessions.md"))
        with Process(["/usr/bin/python3", path], {"SLUICE_BROKER": proxy.endpoint}) as worker:
            with Peer(broker, "asker") as asker:
                check_answers(asker, worker, 10)
                for _ in range(20):
                    before = proxy.opened()
                    check_answers(asker, worker, 100, lambda: proxy.tell("all reset both"))
                    proxy.wait_opened(before, Deadline(WAIT_S))
                after = stats(broker)
                equal((after["submitted"], after["attempts"], after["retries"]), (2010, 2010, 0),
                      "submitted, attempts and retries")
            broker.kill()
            broker.restart()
            with Peer(broker, "asker") as asker:
                check_answers(asker, worker, 10)


if __name__ == "__main__":
    main()
