#!/usr/bin/python3
"""Work that outlives its submitter, by the command line: real processes."""
import json
import os
import subprocess
import sys
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import Broker, Peer, case, check, equal, main, program


def start(broker, *arguments):
    environment = dict(os.environ, SLUICE_BROKER=broker.endpoint)
    return subprocess.Popen([program("sluice"), *arguments], env=environment,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def sluice(broker, *arguments, status=0):
    process = start(broker, *arguments)
    out, err = process.communicate(timeout=30)
    check(process.returncode == status, "exit status %s: %s %s" % (process.returncode, out, err))
    return out if status == 0 else err


@case("a detached task is done after its submitter has left, and anybody fetches its result")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker:
        worker.offer("slow", 1)
        task = sluice(broker, "submit", "slow", '{"n": 1}', "--detached").strip()
        uuid.UUID(task)
        lease = worker.task()
        err = sluice(broker, "result", task, status=1)
        check("leased" in err and "--wait" in err, "says what it is doing: %s" % err)
        waiting = start(broker, "result", task, "--wait", "--json")
        worker.done(lease, b"\xa2ok")
        out, _ = waiting.communicate(timeout=30)
        got = json.loads(out)
        equal((got["outcome"], got["result"], got["id"]), ("done", "ok", task))
        equal(json.loads(sluice(broker, "result", task)), "ok")


@case("the broker's log counts as cancelled what a leaving submitter takes with it, and no more")
def _():
    with Broker() as broker, Peer(broker, "asker") as asker:
        asker.submit("later", if_absent="wait", detached=True)
        asker.submit("later", if_absent="wait")
        asker.bye()
        check("cancelled=1" in broker.wait_line("peer_ended peer=asker"), "one of the two")


@case("sluice result waits no longer than it is told, and the task goes on")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker:
        worker.offer("slow", 1)
        task = sluice(broker, "submit", "slow", "--detached").strip()
        lease = worker.task()
        for waits in (["--wait", "--timeout", "1ms"], ["--timeout", "1ms"]):
            check("not ended by then" in sluice(broker, "result", task, *waits, status=1), "says so")
        worker.ping()
        worker.nothing(39)  # CANCEL
        worker.done(lease, b"\xc0")
        equal(sluice(broker, "result", task, "--wait").strip(), "null")


@case("a failure is told as if one had waited for it; an unknown task is refused")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker:
        worker.offer("slow", 1)
        task = sluice(broker, "submit", "slow", "--detached", "--attempts", "1").strip()
        worker.fail(worker.task(), "no_paper", "Put some in.")
        err = sluice(broker, "result", task, "--wait", status=1)
        check("no_paper" in err and "Put some in." in err, err)
        unknown = str(uuid.uuid4())
        check("not_found" in sluice(broker, "result", unknown, status=1), "unknown")
        check("not_found" in sluice(broker, "result", unknown, "--wait", status=1), "unknown")
        check("no task id" in sluice(broker, "result", "7", status=2), "no id")
        check("unknown_service" in sluice(broker, "submit", "nobody", "--detached", status=1),
              "a refusal is no acceptance")


@case("sluice list shows detached tasks by service and state, over many pages")
def _():
    with Broker() as broker, Peer(broker, "worker") as worker, Peer(broker, "asker") as asker:
        worker.offer("a", 1)
        worker.offer("b", 0)
        for _ in range(250):
            asker.submit("b", detached=True)
        first = asker.submit("a", detached=True)
        asker.submit("a")  # not detached
        worker.done(worker.task())
        asker.result(first)
        rows = json.loads(sluice(broker, "list", "--json"))
        equal(len(rows), 251)
        rows = json.loads(sluice(broker, "list", "--service", "a", "--state", "ended", "--json"))
        equal([(row["id"], row["state"]) for row in rows],
              [(str(uuid.UUID(bytes=bytes(first))), "done")])
        equal(json.loads(sluice(broker, "list", "--service", "a", "--state", "ready", "--json")), [])
        equal(len(json.loads(sluice(broker, "list", "--limit", "120", "--json"))), 120)
        check("SERVICE" in sluice(broker, "list", "--state", "ended"), "a table")


@case("a detached task that waits for room is not forgotten by its submitter")
def _():
    with Broker("--service-max-tasks", "1") as broker, Peer(broker, "worker") as worker, \
            Peer(broker, "asker") as asker:
        worker.offer("slow", 0)
        full = asker.submit("slow")
        asker.ping()
        process = start(broker, "submit", "slow", "--detached")
        check(process.poll() is None, "it has not been accepted")
        worker.send([4, "slow", 1])  # CREDIT
        worker.done(worker.task())
        asker.result(full)
        out, _ = process.communicate(timeout=30)
        lease = worker.task()
        equal(str(uuid.UUID(bytes=bytes(lease[1]))), out.strip())


if __name__ == "__main__":
    main()
