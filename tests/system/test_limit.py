#!/usr/bin/python3
"""Limits, pauses and breakers by the command line, with real processes and workers."""
import contextlib
import json
import os
import sys
import uuid

import zmq

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import (RESULT, TASK, Broker, Peer, case, check, equal, main, program, run,
                         sluice)


def limits(broker, *arguments):
    return json.loads(sluice(broker, "limit", *arguments, "--json"))


def broker_stats(broker):
    return json.loads(sluice(broker, "stats", "--json"))


@case("sluice limit sets, shows and takes away")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker, Peer(broker, "asker") as asker:
        worker.offer("api", 10)
        check("no limits" in sluice(broker, "limit"), "says that there is none, and how to set one")
        sluice(broker, "limit", "api", "--concurrency", "2", "--rate", "500", "--rate-ms", "2s")
        row = limits(broker, "api")[0]
        equal((row["service"], row["concurrency"], row["rate"], row["rate_ms"]),
              ("api", 2, 500, 2000))
        for _ in range(3):
            asker.submit("api")
        tasks = [worker.task(), worker.task()]
        worker.nothing(TASK)
        equal(limits(broker)[0]["in_use"], 2)
        check("concurrency 2" in sluice(broker, "limit"), "the table names the limit")
        sluice(broker, "limit", "api", "--concurrency", "0")
        tasks.append(worker.task())
        check("concurrency" not in limits(broker)[0], "it is gone")
        equal(limits(broker)[0]["rate"], 500)  # what was not said stays
        equal(limits(broker, "other"), [])


@case("sluice limit of a tenant holds over all services")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker, Peer(broker, "asker") as asker:
        worker.offer("a", 5)
        worker.offer("b", 5)
        sluice(broker, "limit", "--tenant", "default", "--concurrency", "1")
        asker.submit("a")
        first = worker.task()
        asker.submit("b")
        asker.ping()  # it has been handled
        worker.nothing(TASK)
        worker.done(first)
        worker.task()
        equal(limits(broker)[0]["tenant"], "default")


@case("sluice limit --key holds back one user's tasks, and nobody else's")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker, Peer(broker, "asker") as asker:
        worker.offer("api", 10)
        sluice(broker, "limit", "api", "--key", "*", "--concurrency", "2")
        sluice(broker, "limit", "api", "--key", "ann", "--concurrency", "1", "--weight", "3")
        for key in ("ann", "ann", "bob", "bob", "bob"):
            last = asker.submit("api", key=key)
        asker.submit("api")
        asker.ping()
        tasks = [worker.task() for _ in range(4)]
        worker.nothing(TASK)
        rows = {row["key"]: row for row in limits(broker)}
        equal((rows["*"]["in_use"], rows["ann"]["in_use"], rows["ann"]["weight"]), (4, 1, 3))
        check("ann" in sluice(broker, "limit"), "the table names the key")
        why = sluice(broker, "why", str(uuid.UUID(bytes=bytes(last))))
        check("concurrency_cap" in why and "its fairness key" in why, why)
        worker.done(tasks[0])
        worker.task()
        equal({row["key"]: row["in_use"] for row in limits(broker)}, {"*": 4, "ann": 1})


@case("limits of the configuration hold from the start, and can be changed")
def _():
    with Broker(config="services\n    api\n        concurrency = 1\n"
                       "        key = ann\n            weight = 2\n"
                       "tenants\n    default\n        concurrency = 2\n") as broker, \
            Peer(broker, "worker") as worker, Peer(broker, "asker") as asker:
        worker.offer("api", 5)
        worker.offer("other", 5)
        for service in ("api", "api", "other", "other"):
            asker.submit(service)
        asker.ping()
        worker.ping()
        equal(sorted(c[3] for c in worker.inbox if c.code == TASK), ["api", "other"])
        equal(sorted((row["service"], row.get("concurrency", 0), row.get("key"), row.get("weight"))
                     for row in limits(broker)),
              [("*", 2, None, None), ("api", 0, "ann", 2), ("api", 1, None, None)])
        sluice(broker, "limit", "--tenant", "default", "--concurrency", "0")
        worker.wait(TASK, lambda c: c[3] == "other")


@case("sluice limit says what is wrong")
def _():
    def wrong(*arguments, status=2):
        return sluice(broker, "limit", *arguments, status=status)

    with Broker() as broker:
        check("which service" in wrong("--rate", "5"), "names the way")
        check("--help" in sluice(broker, "limit", "a", "--speed", "5", status=2), "unknown option")
        check("breaker_percent is a whole number from 0 to 100" in
              sluice(broker, "limit", "a", "--breaker-percent", "101", status=2), "out of bounds")
        check("from 0 to 1000000000" in wrong("a", "--rate", "1000000001"), "out of bounds")
        check("from 0 to 65535" in wrong("a", "--breaker-probes", "65536"), "out of bounds")
        check("which service" in wrong("--key", "a", "--tenant", "b", "--rate", "5"), "key of what")
        check("one of them" in wrong("a", "--key", "a", "--tenant", "b", "--rate", "5"), "not both")
        check("--key" in wrong("a", "--weight", "2"), "a service has no weight")
        check("max_tasks is of a service" in wrong("a", "--key", "b", "--max-tasks", "2"), "a key")
        check("a service's name has" in wrong("bad name", "--rate", "1"), "no name of a service")
        check("a key is text of at most 64" in wrong("a", "--key", "k" * 65, "--rate", "1"), "key")
        check("a tenant is text of at most 64" in wrong("--tenant", "t" * 65, "--rate", "1"), "tenant")
        said = sluice(broker, "pause", "nobody", status=1)
        check("not_found" in said and "sluice services" in said, said)
        # It may be a slip; or its workers come later.
        for command in (["limit", "nobody", "--rate", "1"], ["pause", "nobody"],
                        ["drain", "service", "nobody"]):
            status, said = run([program("sluice"), "--broker", broker.endpoint, *command])
            check(status == 0 and "nobody offers 'nobody'" in said, said)
        with Peer(broker, "worker") as worker:
            worker.offer("somebody", 1)
            for command in (["limit", "somebody", "--rate", "1"], ["pause", "somebody"],
                            ["resume", "somebody"], ["drain", "service", "somebody"]):
                status, said = run([program("sluice"), "--broker", broker.endpoint, *command])
                check(status == 0 and "nobody" not in said, said)
        check("SERVICE" in sluice(broker, "pause", status=2), "which?")


@case("sluice pause holds a service, resume ends it")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker, Peer(broker, "asker") as asker:
        worker.offer("api", 10)
        sluice(broker, "pause", "api")
        task = asker.submit("api")
        why = json.loads(sluice(broker, "why", str(uuid.UUID(bytes=bytes(task))),
                                "--json"))
        equal(why["reason"], "paused")
        worker.nothing(TASK)
        sluice(broker, "resume", "api")
        worker.done(worker.task())
        asker.result(task)
        sluice(broker, "pause", "api", "--for", "1ms")
        asker.submit("api")
        worker.task()  # by itself


def serve(workers, enough):
    """Answers whatever they are handed, until enough() says so."""
    poller = zmq.Poller()
    for worker in workers:
        poller.register(worker.socket, zmq.POLLIN)
    while not enough():
        for worker in workers:
            for command in [c for c in worker.inbox if c.code == TASK]:
                worker.inbox.remove(command)
                worker.done(command)
        ready = dict(poller.poll(10000))
        check(ready, "something comes within 10 s")
        for worker in workers:
            if worker.socket in ready:
                worker.drain()


@case("a 429 that one of 20 workers sees pauses all of them, and all others go on when it resumes")
def _():
    with Broker() as broker, Peer(broker, "asker") as asker, contextlib.ExitStack() as stack:
        workers = [stack.enter_context(Peer(broker, "worker%d" % i)) for i in range(20)]
        for worker in workers:
            worker.offer("api", 1)
        for _ in range(60):
            asker.submit("api", attempts=5)
        held = [worker.task() for worker in workers]
        workers[7].fail(held[7], "http_429", "Too many.", True, retry_after_ms=60000,
                        scope="service")
        workers[7].ping()
        for worker, task in zip(workers, held):
            if worker is not workers[7]:
                worker.done(task)
            worker.ping()
        for worker in workers:
            worker.nothing(TASK)  # all of them are free, and get nothing
        row = [row for row in json.loads(sluice(broker, "services", "--json"))
               if row["service"] == "api"][0]
        equal((row["queued"], row["gate"]), (41, "paused"))
        done = {bytes(asker.result()[1]) for _ in range(19)}
        sluice(broker, "resume", "api")

        def enough():
            done.update(bytes(c[1]) for c in asker.inbox if c.code == RESULT)
            return len(done) == 59  # the one that was told to waits for a minute
        serve(workers + [asker], enough)
        equal(broker_stats(broker)["delayed"], 1)


if __name__ == "__main__":
    main()
