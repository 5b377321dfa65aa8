#!/usr/bin/python3
"""research and analysis: real programs, a real broker, and retrievers that misbehave on cue."""
import contextlib
import glob
import gzip
import os
import re
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import (BUILD, CANCEL, CANCEL_OUT, PROGRESS_OUT, TASK, Broker, Peer, Process,
                         case, check, equal, main, msgpack, program)

DOCUMENT = """# Queues

## Bounds

Every queue of the broker is bounded by count and by bytes.
A task beyond the bound is refused with queue_full,
and retry_after_ms says when to come again.

## Leases

A lease is a task in a worker's hands.
It ends with the worker's answer, or when it runs out after lease_ms of silence.
"""

# A manual page as roff: escapes, font changes and macros between the words.
MANUAL = r""".TH "VALVE" "3"
.SH "NAME"
valve \- opens and shuts
.SH "DESCRIPTION"
.SS "VALVE_STRICT: report what cannot be delivered"
.sp
Sets what a valve does with a drop that it cannot deliver\&. A value of 0 is the default and
spills the drop silently\&. A value of 1 returns an \fIENOPIPE\fR error code if the drop
cannot be delivered\&.
.SS "VALVE_LINGER: wait for the last drops"
.sp
The \fIVALVE_LINGER\fR option shall set how long pending drops are kept after
\fBvalve_close()\fR\&.
"""

QUESTION = "What happens to a task when the queue of the broker is full?"


def pack(value):
    return msgpack.packb(value, use_bin_type=True)


def unpack(payload):
    return msgpack.unpackb(payload, raw=False)


@contextlib.contextmanager
def programs(broker, *names, docs=()):
    """sluice-NAME for each, ready: each has said `connected`, a retriever that it is ready."""
    with contextlib.ExitStack() as stack:
        running = {}
        for name in names:
            options = sum((["--docs", folder] for folder in docs), [])
            process = stack.enter_context(
                Process([program("sluice-" + name), "--broker", broker.endpoint,
                         "--name", name + "-1"] + (options if name == "retriever" else [])))
            process.wait_line("retriever_ready" if name == "retriever" else "connected")
            running[name] = process
        yield running
        for name, process in running.items():
            check(process.running(), "%s ended by itself:\n%s" % (name, process.output()))
            process.signal(15)
            equal(process.wait_exit(20), 0, "exit status of %s, which said:\n%s\n" %
                  (name, process.output()))


def passages_of(path, text):
    """The document's sections, as retriever.search would return them."""
    hits, start = [], None
    lines = text.split("\n")
    for number, line in enumerate(lines + ["#"], 1):
        if line.startswith("#"):
            if start is not None and start < number - 1:
                body = "\n".join(lines[start:number - 1]).strip("\n")
                first = start + 1
                while not lines[first - 1]:
                    first += 1
                hits.append(dict(passage="p%d" % start, source=path, kind="md", page=None,
                                 title="Queues > " + lines[start - 1].lstrip("# "),
                                 line_start=first, line_end=first + body.count("\n"),
                                 score=1.0, text=body))
            start = number
    return hits


class Corpus:
    """One document on disk and what a search over it answers."""

    def __init__(self, broker):
        self.path = os.path.join(broker.directory, "queues.md")
        with open(self.path, "w") as file:
            file.write(DOCUMENT)
        self.hits = [h for h in passages_of(self.path, DOCUMENT) if h["text"]]

    def answer(self, payload):
        query = unpack(payload)["query"]
        return pack(dict(query=query, took_ms=1, total=len(self.hits), hits=self.hits))


@contextlib.contextmanager
def searching(*names):
    """A broker with the programs and a retriever that the test plays: asker, retriever, corpus."""
    with Broker() as broker, Peer(broker, "retriever-1") as retriever, \
            Peer(broker, "asker") as asker, programs(broker, *names):
        retriever.offer("retriever.search", 8)
        yield asker, retriever, Corpus(broker)


def ask(peer, question, **more):
    return peer.submit("research.ask", pack(dict(question=question, **more)), if_absent="wait")


def report_of(peer, task, seconds=20):
    result = peer.result(task, seconds)
    equal(result.outcome, "done", "outcome of research.ask (%r)" % (result.body,))
    return unpack(result.body)


def squeeze(text):
    return " ".join(text.split())


def check_citations(report):
    """Every citation can be opened, and the cited lines hold the quote."""
    for citation in report["citations"]:
        if citation["source"].startswith("tool.") or citation["url"]:
            continue
        opener = gzip.open if citation["source"].endswith(".gz") else open
        with opener(citation["source"], "rt", errors="replace") as file:
            lines = file.read().split("\n")[citation["line_start"] - 1:citation["line_end"]]
        if citation["source"].endswith(".gz"):
            lines = [plain_roff(line) for line in lines]
        check(squeeze(citation["quote"]) in squeeze("\n".join(lines)),
              "%s:%d-%d does not hold %r" % (citation["source"], citation["line_start"],
                                            citation["line_end"], citation["quote"]))
    numbers = [c["n"] for c in report["citations"]]
    equal(numbers, list(range(1, len(numbers) + 1)), "numbers of the citations")
    for claim in report["claims"]:
        check(claim["citations"], "a claim without citation: %r" % claim)
        check(set(claim["citations"]) <= set(numbers), "a claim cites what is not there")


def plain_roff(line):
    """The words of a line of a manual page: what a reader of it sees."""
    if line.startswith((".", "'")) or re.fullmatch(r"T\{|T\}|T\}:T\{", line):
        return ""  # a macro, or the edge of a cell
    line = re.sub(r"\\f(\[[^]]*\]|\(..|.)", "", line)
    line = re.sub(r"\\[&%:|^]", "", line)
    line = line.replace(r"\-", "-").replace(r"\(aq", "'").replace(r"\(cq", "'")
    line = line.replace(r"\(lq", '"').replace(r"\(rq", '"').replace(r"\(bu", "\u2022")
    line = re.sub(r"\\[sm][-+]?\d*", "", line)
    return line.replace(r"\e", "\\").replace(r"\ ", " ")


@case("a question comes back as a report whose citations hold")
def _():
    with searching("analysis", "research") as (asker, retriever, corpus):
        task = ask(asker, QUESTION)
        retriever.serve_one(corpus.answer)
        report = report_of(asker, task)
        check("queue_full" in report["answer"], "the answer misses the point: " + report["answer"])
        check(report["citations"], "no citations")
        check_citations(report)
        equal(report["failed"], [], "what failed")
        equal(report["not_found"], [], "what was not found")
        services = [row["service"] for row in report["timeline"]]
        equal(services, ["retriever.search", "analysis.extract", "analysis.report"], "timeline")
        for row in report["timeline"]:
            equal(row["outcome"], "done")
            check(row["worker"], "no worker in the timeline")
        markdown = report["markdown"]
        check(markdown.index("queue_full") < markdown.index("## Sources") <
              markdown.index("## Timeline"), "the answer does not come first")
        check("queues.md:" in markdown, "no place in the sources")


@case("the four real agents answer from real files")
def _():
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder, Broker() as broker:
        with open(os.path.join(folder, "queues.md"), "w") as file:
            file.write(DOCUMENT)
        with gzip.open(os.path.join(folder, "valve.3.gz"), "wt") as file:
            file.write(MANUAL)
        with Peer(broker, "asker") as asker, \
                programs(broker, "retriever", "tool", "analysis", "research", docs=[folder]):
            report = report_of(asker, ask(asker, "How do I make a valve report a drop that it "
                                                 "cannot deliver instead of losing it?"))
            check("ENOPIPE" in report["answer"], report["answer"])
            check(report["citations"][0]["source"].endswith("valve.3.gz"), report["citations"])
            check_citations(report)
            report = report_of(asker, ask(asker, "What is a lease, and what is 6 * 7? How many "
                                                 "days between 2026-11-20 and 2026-11-30?"))
            for part in ("A lease is a task", "6 * 7 = 42", "10 days"):
                check(part in report["answer"], "no %r in: %s" % (part, report["answer"]))
            check_citations(report)
            equal(report["failed"], [], "what failed")
            report = report_of(asker, ask(asker, "What is the capital of France?"))
            equal(report["claims"], [], "claims about France")
            equal(len(report["not_found"]), 1, "what was not found")


@case("libzmq's own manual answers, where it is installed")
def _():
    page = "/usr/share/man/man3/zmq_setsockopt.3.gz"
    folders = [folder for folder in (os.path.join(BUILD, "demo", "libzmq"), os.path.dirname(page))
               if glob.glob(os.path.join(folder, "**", "zmq_setsockopt.3*"), recursive=True)]
    if not folders:
        return
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder, Broker() as broker:
        for path in glob.glob(os.path.join(folders[0], "**", "zmq_*"), recursive=True):
            shutil.copy(path, folder)
        with Peer(broker, "asker") as asker, \
                programs(broker, "retriever", "analysis", "research", docs=[folder]):
            for question, expected in (
                    ("How do I make a ZeroMQ ROUTER socket report unroutable messages instead of "
                     "dropping them?", "EHOSTUNREACH"),
                    ("What happens when a PUB socket reaches its high water mark?", "dropped"),
                    ("How long does zmq_poll wait when the timeout is -1?", "block indefinitely"),
                    ("What is the default value of ZMQ_SNDHWM?", "1000"),
                    ("What does ZMQ_LINGER do when a socket is closed?", "pending messages")):
                report = report_of(asker, ask(asker, question))
                check(expected in report["answer"].split("\n")[0],
                      "%r is not in the lead: %s" % (expected, report["answer"]))
                check_citations(report)


@case("sub-questions are searched in parallel and progress is told")
def _():
    with searching("analysis", "research") as (asker, retriever, corpus):
        task = ask(asker, "What is a lease? Which queue is bounded by bytes?")
        # All three are in the worker's hands at once: none waits for another.
        tasks = [retriever.task() for _ in range(3)]
        told = unpack(asker.wait(PROGRESS_OUT, lambda c: c[1] == task)[3])
        equal((told["stage"], told["done"], told["total"]), ("gather", 0, 3), "progress")
        for one in tasks:
            retriever.done(one, corpus.answer(one[4]))
        report = report_of(asker, task)
        check("A lease is a task" in report["answer"], "no lease in: " + report["answer"])
        check("bounded by count" in report["answer"], "no bound in: " + report["answer"])
        check_citations(report)


@case("a search that fails is named, the others answer")
def _():
    with searching("analysis", "research") as (asker, retriever, corpus):
        task = ask(asker, "What is a lease? Which queue is bounded by bytes?")
        tasks = [retriever.task() for _ in range(3)]
        for one in tasks:
            if unpack(one[4])["query"].startswith("Which"):
                retriever.fail(one, "index_broken", "the index cannot be read")
            else:
                retriever.done(one, corpus.answer(one[4]))
        report = report_of(asker, task)
        equal([(f["service"], f["code"], f["message"]) for f in report["failed"]],
              [("retriever.search", "index_broken", "the index cannot be read")], "what failed")
        check("A lease is a task" in report["answer"], "no lease in: " + report["answer"])
        check("index_broken" in report["markdown"], "the failure is not in the report")
        # What the other searches found is read for the part that lost its own.
        check("bounded by count" in report["answer"], "no bound in: " + report["answer"])
        equal([r["service"] for r in report["timeline"]].count("analysis.extract"), 3, "extracts")
        check_citations(report)


@case("a retriever that hangs costs its evidence, not the report")
def _():
    with Broker() as broker, Peer(broker, "hanging") as hanging, \
            Peer(broker, "asker") as asker, programs(broker, "analysis", "research"):
        hanging.offer("retriever.search", 8)
        started = time.monotonic()
        task = ask(asker, QUESTION, deadline_ms=2000)
        held = hanging.task()
        report = report_of(asker, task, 10)
        took = time.monotonic() - started
        check(took < 2.5 * float(os.environ.get("SLUICE_SLOW", "1")), "it took %.1f s" % took)
        hanging.wait(CANCEL_OUT, lambda c: c[1] == held[1])
        equal([(f["service"], f["code"]) for f in report["failed"]],
              [("retriever.search", "expired")], "what failed")
        equal(report["claims"], [], "claims")
        equal([n["reason"] for n in report["not_found"]], ["its search failed"])
        equal(report["timeline"][0]["outcome"], "expired")


@case("without a retriever the report says how to start one, at once")
def _():
    with Broker() as broker, Peer(broker, "asker") as asker, \
            programs(broker, "analysis", "research"):
        report = report_of(asker, ask(asker, QUESTION), 5)
        check("sluice-retriever --docs" in report["answer"], report["answer"])
        equal([f["code"] for f in report["failed"]], ["unknown_service"], "what failed")


@case("one unknown tool does not spoil the join of the others")
def _():
    with searching("analysis", "research") as (asker, retriever, corpus):
        task = ask(asker, QUESTION + " And what is 6 * 7?")
        with serving(retriever, corpus):
            report = report_of(asker, task)
        equal([(f["service"], f["code"]) for f in report["failed"]],
              [("tool.calc", "unknown_service")], "what failed")
        check("queue_full" in report["answer"], report["answer"])


@contextlib.contextmanager
def serving(peer, corpus):
    """Serves searches in a thread of its own until the block is left."""
    stop = threading.Event()

    def serve():
        while not stop.is_set():
            while peer.inbox:
                command = peer.inbox.popleft()
                if command.code == TASK:
                    peer.done(command, corpus.answer(command[4]))
            peer._receive(0.02)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@case("sums and dates come from tools and are cited")
def _():
    with Broker() as broker, Peer(broker, "tool-1") as tool, Peer(broker, "asker") as asker, \
            programs(broker, "research"):
        tool.offer("tool.calc", 8)
        task = ask(asker, "What is 17 * 23?")
        called = tool.task()
        equal(unpack(called[4])["expression"], "17 * 23")
        tool.done(called, pack(dict(expression="17 * 23", value=391, text="391")))
        report = report_of(asker, task)
        equal(report["answer"], "17 * 23 = 391 [1]", "answer")
        equal(report["citations"][0]["source"], "tool.calc")
        equal(report["failed"], [], "what failed")


@case("quotes that analysis made up are left out")
def _():
    with Broker() as broker, Peer(broker, "retriever-1") as retriever, \
            Peer(broker, "liar") as liar, Peer(broker, "asker") as asker, \
            programs(broker, "research"):
        corpus = Corpus(broker)
        retriever.offer("retriever.search", 8)
        liar.offer("analysis.extract", 8)
        liar.offer("analysis.report", 8)
        task = ask(asker, QUESTION)
        retriever.serve_one(corpus.answer)
        called = liar.task()
        equal(called[3], "analysis.extract")
        passage = unpack(called[4])["passages"][0]
        true = "Every queue of the broker is bounded by count and by bytes."
        liar.done(called, pack(dict(sentences=[
            dict(ref=passage["ref"], text="Queues have no bound.", score=0.9, coverage=1.0),
            dict(ref="p99", text=true, score=0.9, coverage=1.0),
            dict(ref=passage["ref"], text=true, score=0.8, coverage=1.0)])))
        called = liar.task()
        equal([s["text"] for s in unpack(called[4])["sections"][0]["sentences"]], [true])
        liar.done(called, pack(dict(
            answer="Lies [1]", not_found=[],
            claims=[dict(text="Lies", citations=[1], in_answer=True),
                    dict(text=true, citations=[2, 7], in_answer=True)],
            citations=[dict(n=1, ref=passage["ref"], source="/etc/passwd", quote="Queues lie."),
                       dict(n=2, ref=passage["ref"], source="/etc/passwd", quote=true)])))
        report = report_of(asker, task)
        equal(report["answer"], true + " [1]", "answer")
        equal([c["source"] for c in report["citations"]], [corpus.path], "sources")
        equal([c["citations"] for c in report["claims"]], [[1]], "citations of the claims")
        check_citations(report)


@case("without analysis the best passages are quoted as they are")
def _():
    with searching("research") as (asker, retriever, corpus):
        task = ask(asker, QUESTION)
        retriever.serve_one(corpus.answer)
        report = report_of(asker, task)
        equal({f["service"] for f in report["failed"]}, {"analysis.extract", "analysis.report"})
        check("bounded by count" in report["answer"], report["answer"])
        check_citations(report)


@case("a cancelled question stops its searches")
def _():
    with searching("research") as (asker, retriever, _):
        task = ask(asker, QUESTION)
        held = retriever.task()
        asker.send([CANCEL, task, "changed my mind", 1])
        retriever.wait(CANCEL_OUT, lambda c: c[1] == held[1])
        retriever.fail(held, "cancelled")
        equal(asker.result(task).outcome, "cancelled")


@case("wrong questions are refused with the field at fault")
def _():
    with Broker() as broker, Peer(broker, "asker") as asker, programs(broker, "research"):
        for wrong in ({}, {"question": ""}, {"question": 3}, {"question": "x" * 2001},
                      {"question": "x", "deadline_ms": 1}, {"question": "x", "limit": 0},
                      {"question": " \n "}):
            task = asker.submit("research.ask", pack(wrong), if_absent="wait")
            result = asker.result(task)
            equal(result.outcome, "failed", "outcome for %r" % wrong)
            check(not result.body.get("retryable"), "it may pass later: %r" % result.body)


@case("analysis.compare, analysis.summarize and analysis.extract answer")
def _():
    with Broker() as broker, Peer(broker, "asker") as asker, programs(broker, "analysis"):
        def call(service, **args):
            result = asker.result(asker.submit(service, pack(args), if_absent="wait"))
            equal(result.outcome, "done", "outcome of %s (%r)" % (service, result.body))
            return unpack(result.body)

        compared = call("analysis.compare", items=[dict(name="a", text="One queue is bounded."),
                                                   dict(name="b", text="One queue is long.")])
        check(0 < compared["pairs"][0]["similarity"] < 1, compared)
        equal(compared["shared"], ["queue"])
        equal(len(call("analysis.summarize", text=DOCUMENT, sentences=2)["summary"]), 2)
        found = call("analysis.extract", question="What is a lease?", limit=1,
                     passages=[dict(ref="x", text=DOCUMENT, source="d", line_start=1, line_end=14)])
        equal(found["sentences"][0]["text"], "A lease is a task in a worker's hands.")
        result = asker.result(asker.submit("analysis.extract", pack(dict(question="x"))))
        equal(result.outcome, "failed")


main()
