#!/usr/bin/python3
"""tests/bench/report: it measures what it is told to, and rewrites its part of the page alone."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import ROOT, SLOW, case, check, equal, main

REPORT = os.path.join(ROOT, "tests/bench/report")
BEGIN, END = "<!-- figures: make bench-report -->", "<!-- end of figures -->"


class Docs:
    """A folder with a copy of the page, and no figures yet."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="sluice-test-")
        shutil.copy(os.path.join(ROOT, "docs/benchmarks.md"), self.folder)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder)

    def report(self, chapters, status=0, **env):
        """What it says on its standard error."""
        done = subprocess.run(["/usr/bin/python3", REPORT], stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120 * SLOW,
                              env={**os.environ, "DOCS": self.folder, "RUNS": "1",
                                   "CHAPTERS": chapters, **env})
        equal(done.returncode, status, "status: " + done.stderr)
        return done.stderr

    def page(self):
        with open(os.path.join(self.folder, "benchmarks.md"), encoding="utf-8") as file:
            return file.read()

    def figures(self):
        with open(os.path.join(self.folder, "bench/figures.json"), encoding="utf-8") as file:
            return json.load(file)


@case("a chapter is measured, kept and shown; the rest of the page stays as it is")
def _():
    with Docs() as docs:
        before = docs.page()
        docs.report("gather")
        page, kept = docs.page(), docs.figures()
        equal(list(kept), ["gather"], "chapters")
        equal([row["tasks"] for row in kept["gather"]["rows"]], [5, 100, 10000], "rows")
        equal(page.split(BEGIN)[0], before.split(BEGIN)[0], "what stands before")
        equal(page.split(END)[1], before.split(END)[1], "what stands behind")
        shown = page.split(BEGIN)[1].split(END)[0]
        check("| 10,000 | 0 ms |" in shown and "medians of 1." in shown, shown)
        check("zmq_proxy" not in shown, "a chapter that was not measured: " + shown)
        docs.report("")
        equal(docs.page(), page, "the page, written again from what is kept")
        equal(docs.figures(), kept, "figures")


@case("the page shows what is kept, with all its plots")
def _():
    with Docs() as docs, tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
        shutil.copytree(os.path.join(ROOT, "docs/bench"), os.path.join(docs.folder, "bench"))
        before, drawn = docs.page(), os.path.join(folder, "drawn")
        with open(os.path.join(folder, "gnuplot"), "w") as file:
            file.write("#!/bin/sh\ncat >> %s\n" % drawn)
        os.chmod(file.name, 0o755)
        docs.report("", PATH=folder + ":" + os.environ["PATH"])
        equal(docs.page(), before, "the page, written again from what is kept")
        with open(drawn) as file:
            script = file.read()
        for name in docs.figures():
            if os.path.exists(os.path.join(docs.folder, "bench", name + ".svg")):
                check("bench/%s.svg'" % name in script, "%s is not drawn" % name)


@case("a run that fails ends it, and nothing is kept of its chapter")
def _():
    with Docs() as docs:
        before = docs.page()
        check("status 1" in docs.report("gather", status=1, RUN_WITH="/usr/bin/false"), "says so")
        check(not os.path.exists(os.path.join(docs.folder, "bench/figures.json")), "kept")
        equal(docs.page(), before, "the page")


@case("a chapter that is not there is refused with those that are")
def _():
    with Docs() as docs:
        said = docs.report("payload speed", status=1)
        check("speed" in said and "payload window load" in said, said)


main()
