#!/usr/bin/python3
"""sluice-retriever with a real broker: what it finds, that the files really say so, and that
it follows them when they change."""
import gzip
import os
import re
import shutil
import signal
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import msgpack

from sluice_test import (Broker, Deadline, Failure, Peer, Process, case, check, equal, main,
                         program, run)

PAGE = """.TH GATE_OPEN 3
.SH NAME
gate_open \\- open a gate
.SH DESCRIPTION
.PP
The \\fBgate_open\\fR() function lifts the
.I penstock
until the reservoir is level\\&.
"""


class Folder:
    """A folder of documents that goes when the block ends."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="sluice-docs-")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def file(self, name):
        return os.path.join(self.path, name)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.file(name)), exist_ok=True)
        opener = gzip.open if name.endswith(".gz") else open
        with opener(self.file(name), "wt", encoding="utf-8") as file:
            file.write(text)
        return self.file(name)

    def lines(self, name, first, last):
        """What a reader of the citation sees, with single blanks."""
        opener = gzip.open if name.endswith(".gz") else open
        with opener(name, "rt", encoding="utf-8") as file:
            return " ".join(" ".join(file.read().split("\n")[first - 1:last]).split())


def retriever(broker, folder, *options, rescan_ms=3600000):
    """Started, and its services are on offer. The rescan is off unless asked for."""
    process = Process([program("sluice-retriever"), "--docs", folder.path, "--broker",
                       broker.endpoint, "--rescan-ms", str(rescan_ms), *options])
    try:
        process.wait_line("retriever_ready")
    except BaseException:
        process.kill()
        raise
    return process


def call(peer, service, expect="done", **arguments):
    """The result, or for another outcome the error map."""
    task = peer.submit(service, msgpack.packb(arguments), if_absent="wait", deadline_ms=20000)
    result = peer.result(task)
    equal(result.outcome, expect, "outcome of %s %s (%s)" % (service, arguments, result[3]))
    return msgpack.unpackb(result.body) if expect == "done" else result.body


def search(peer, query, **arguments):
    return call(peer, "retriever.search", query=query, **arguments)


def await_total(peer, query, total, seconds=15):
    """Asks until the answer has so many passages."""
    deadline = Deadline(seconds)
    while True:
        found = search(peer, query)
        if found["total"] == total:
            return found
        if deadline.passed():
            raise Failure("'%s' still finds %d passages, expected %d" %
                          (query, found["total"], total))


@case("a search finds the passage, and the lines it cites hold its text")
def _():
    with Folder() as folder, Broker() as broker:
        folder.write("man/gate_open.3.gz", PAGE)
        markdown = folder.write("guide.md", "# Guide\n\n## Reservoirs\n\nA reservoir that is\n"
                                            "above its mark opens the spillway.\n")
        folder.write("page.html", "<title>Fish</title>\n<p>Fish climb a\n<b>ladder</b>.\n")
        with retriever(broker, folder), Peer(broker) as peer:
            found = search(peer, "When is the spillway of a reservoir used?", limit=1)
            equal(sorted(found), ["hits", "query", "took_ms", "total"], "keys of the answer")
            equal(found["total"], 2, "passages")
            hit = found["hits"][0]
            equal(sorted(hit), ["kind", "line_end", "line_start", "page", "passage", "score",
                                "source", "text", "title"], "keys of a hit")
            equal((hit["source"], hit["kind"], hit["title"]), (markdown, "md", "Guide > Reservoirs"))
            equal((hit["line_start"], hit["line_end"], hit["page"]), (5, 6, None))
            equal(hit["text"], folder.lines(hit["source"], 5, 6), "text of the hit")

            hit = search(peer, "penstock level")["hits"][0]
            equal((hit["kind"], hit["title"], hit["line_start"], hit["line_end"]),
                  ("man", "gate_open(3) > DESCRIPTION", 6, 8))
            equal(hit["text"], "The gate_open() function lifts the penstock until the reservoir "
                               "is level.")
            said = folder.lines(hit["source"], hit["line_start"], hit["line_end"])
            for word in re.findall(r"\w+", hit["text"]):
                check(word in said, "the lines do not have '%s'" % word)

            hit = search(peer, "fish ladder")["hits"][0]
            equal((hit["kind"], hit["title"], hit["line_start"], hit["line_end"], hit["text"]),
                  ("html", "Fish", 2, 3, "Fish climb a ladder."))


@case("a passage comes by its id, from any replica, with its neighbours")
def _():
    with Folder() as folder, Broker() as broker:
        folder.write("a.md", "# A\nfirst\n# B\nsecond\n# C\nthird\n")
        with retriever(broker, folder), Peer(broker) as peer:
            first = search(peer, "second")["hits"][0]
        with retriever(broker, folder), Peer(broker) as peer:
            view = call(peer, "retriever.passage", passage=first["passage"])
            equal(sorted(view), ["after", "before", "kind", "line_end", "line_start", "page",
                                 "passage", "source", "text", "title"], "keys of a passage")
            equal((view["before"], view["text"], view["after"]), ("first", "second", "third"))
            error = call(peer, "retriever.passage", expect="failed", passage="0" * 16)
            equal(error["code"], "not_found")
            folder.write("a.md", "# B\nsecond thoughts\n")
            await_total(peer, "thoughts", 1)
            error = call(peer, "retriever.passage", expect="failed", passage=first["passage"])
            equal(error["code"], "not_found", "a passage of the file as it was")


@case("sources are listed page by page")
def _():
    with Folder() as folder, Broker() as broker:
        for name in ("a.md", "b.txt", "c.html"):
            folder.write(name, "words\n")
        with retriever(broker, folder), Peer(broker) as peer:
            page = call(peer, "retriever.sources", limit=2)
            equal((page["total"], len(page["sources"])), (3, 2))
            row = page["sources"][0]
            equal((row["source"], row["kind"], row["title"], row["passages"], row["bytes"]),
                  (folder.file("a.md"), "md", "a.md", 1, 6))
            equal(row["modified_ms"], os.stat(folder.file("a.md")).st_mtime_ns // 1000000)
            page = call(peer, "retriever.sources", limit=2, after=page["next"])
            equal([row["source"] for row in page["sources"]], [folder.file("c.html")])
            check("next" not in page, "a last page has no next")


@case("new, changed, renamed and deleted files are followed without a rescan")
def _():
    with Folder() as folder, Broker() as broker:
        folder.write("a.md", "apples\n")
        with retriever(broker, folder), Peer(broker) as peer:
            equal(search(peer, "apples")["total"], 1)
            folder.write("a.md", "cherries\n")
            await_total(peer, "cherries", 1)
            equal(search(peer, "apples")["total"], 0, "the old words")
            folder.write("deep/er/b.md", "bananas\n")
            await_total(peer, "bananas", 1)
            os.rename(folder.file("deep/er/b.md"), folder.file("c.md"))
            deadline = Deadline(15)
            while [hit["source"] for hit in search(peer, "bananas")["hits"]] != [folder.file("c.md")]:
                check(not deadline.passed(), "the new name is not seen")
            os.unlink(folder.file("c.md"))
            await_total(peer, "bananas", 0)


@case("a rescan finds what inotify does not tell")
def _():
    with Folder() as folder, Broker() as broker:
        linked = folder.write(".data/a.md", "apples\n")  # a hidden folder is not watched
        os.symlink(".data/a.md", folder.file("a.md"))
        with retriever(broker, folder, rescan_ms=100), Peer(broker) as peer:
            equal(search(peer, "apples")["total"], 1)
            with open(linked, "w") as file:
                file.write("cherries\n")
            await_total(peer, "cherries", 1)


@case("two retrievers of one folder share the searches and agree")
def _():
    with Folder() as folder, Broker() as broker:
        for number in range(20):
            folder.write("%d.md" % number, "The same words in every file.\n")
        with retriever(broker, folder), retriever(broker, folder), Peer(broker) as peer:
            query = msgpack.packb({"query": "same words", "limit": 50})
            tasks = [peer.submit("retriever.search", query) for _ in range(64)]
            answers = set()
            for task in tasks:
                result = peer.result(task)
                equal(result.outcome, "done")
                answers.add(tuple(h["passage"] for h in msgpack.unpackb(result.body)["hits"]))
            equal(len(answers), 1, "different answers")
            equal(len(answers.pop()), 20, "hits")


@case("an index on disk spares the next start the reading")
def _():
    with Folder() as folder, Folder() as place, Broker() as broker:
        folder.write("a.md", "apples\n")
        index = place.file("index")
        with retriever(broker, folder, "--index", index) as first:
            check("read=1" in first.wait_line("scan_done"), "the first start reads")
            status, output = run([program("sluice-retriever"), "--docs", folder.path, "--index",
                                  index, "--broker", broker.endpoint])
            equal(status, 1, "exit status of a second one on the same index")
            check("another process" in output, output)
            first.signal(signal.SIGTERM)
            equal(first.wait_exit(), 0, "exit status")
        os.rename(folder.file("a.md"), folder.file("b.md"))
        folder.write("c.md", "cherries\n")
        with retriever(broker, folder, "--index", index) as second, Peer(broker) as peer:
            line = second.wait_line("scan_done")
            check("read=2" in line and "removed=1" in line, line)
            equal(search(peer, "apples")["hits"][0]["source"], folder.file("b.md"))


@case("damaged and hostile files are passed over")
def _():
    with Folder() as folder, Broker() as broker:
        folder.write("good.md", "apples\n")
        with open(folder.file("broken.md.gz"), "wb") as file:
            file.write(b"\x1f\x8b\x08garbage")
        with gzip.open(folder.file("bomb.txt.gz"), "wb") as file:
            for _ in range(64):
                file.write(b"x " * (1 << 19))
        with open(folder.file("nul.txt"), "wb") as file:
            file.write(b"ELF\0\0\0")
        with open(folder.file("line.txt"), "wb") as file:
            file.write(b"apples " * (1 << 20))
        folder.write("deep.html", "<div>" * 100000)
        with open(folder.file("not.pdf"), "wb") as file:
            file.write(b"%PDF-1.4\ngarbage")
        os.symlink(".", folder.file("loop"))
        with retriever(broker, folder, "--debug") as process, Peer(broker) as peer:
            for name in ("broken.md.gz", "bomb.txt.gz", "nul.txt"):
                process.wait_line(name)
            sources = {h["source"] for h in search(peer, "apples", limit=50)["hits"]}
            equal(sources, {folder.file("good.md"), folder.file("line.txt")})


@case("bad arguments are refused, and name what is wrong")
def _():
    with Folder() as folder, Broker() as broker:
        folder.write("a.md", "apples\n")
        with retriever(broker, folder), Peer(broker) as peer:
            for arguments in ({}, {"query": ""}, {"query": 7}, {"query": "x" * 2001},
                              {"query": "x", "limit": 0}, {"query": "x", "limit": 51},
                              {"query": "x", "limit": "8"}, {"query": "x", "nonsense": 1}):
                error = call(peer, "retriever.search", expect="failed", **arguments)
                equal(error["code"], "bad_arguments", "code for %s" % arguments)
            for query in ('"', "AND OR NOT", "title:*", "a NEAR/2 b", "); DROP TABLE sources; --"):
                search(peer, query)
            equal(search(peer, "apples", source=folder.path + "/b")["total"], 0)
            equal(search(peer, "apples", source=folder.path + "/a")["total"], 1)


@case("a wrong command line ends with a sentence")
def _():
    retriever_program = program("sluice-retriever")
    for arguments, expected in (([], "--docs DIR is missing"),
                                (["--docs", "/nonexistent"], "cannot read '/nonexistent'"),
                                (["--docs", "/tmp", "--rescan-ms", "x"], "--rescan-ms"),
                                (["--docs", "/tmp", "--index", "/nonexistent/x"], "cannot open the index"),
                                (["--docs", "/tmp", "--broker", "nonsense"], "endpoint")):
        status, output = run([retriever_program] + arguments)
        check(status in (1, 2), "exit status %d for %s" % (status, arguments))
        check(expected in output, output)
    status, output = run([retriever_program, "--help"])
    equal(status, 0)
    check("--rescan-ms" in output, output)


main()
