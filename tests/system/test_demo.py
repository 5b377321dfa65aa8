#!/usr/bin/python3
"""What a newcomer sees first: `make demo` answers, with citations that hold."""
import gzip
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import BUILD, ROOT, case, check, equal, main, run


@case("the demo answers its three questions, and leaves nothing behind")
def _():
    status, output = run(["env", "BUILD=" + BUILD, os.path.join(ROOT, "deploy/demo.sh")], seconds=120)
    equal(status, 0, "exit status of demo.sh, which said:\n%s\n" % output[-3000:])
    reports = output.split('\n$ sluice ask "')[1:]
    equal(len(reports), 3, "reports")
    for report, facts in zip(reports, (("EHOSTUNREACH", "used by a client"),
                                       ("go to another worker", "submit again"),
                                       ("Default value -1 (infinite)", "357 days"))):
        answer = report[:report.index("\n## ")]
        for fact in facts:
            check(fact in " ".join(answer.split()), "no '%s' in the answer of\n%s" % (fact, report))
        check("## Timeline" in report and "retriever.search" in report, "no timeline in:\n" + report)
        check_citations(report)
    check("the cluster is down" in output, "the cluster was not taken down")


def check_citations(report):
    """Every file that is cited is there, and has the lines that are named."""
    cited = re.findall(r"^\[\d+\] `(/[^`]+):(\d+)(?:-(\d+))?`", report, re.MULTILINE)
    check(cited, "no citation in:\n" + report)
    for path, first, last in cited:
        with (gzip.open if path.endswith(".gz") else open)(path, "rt", errors="replace") as file:
            lines = file.read().count("\n") + 1
        check(1 <= int(first) <= int(last or first) <= lines, "%s:%s-%s, of %d" % (path, first, last, lines))


if __name__ == "__main__":
    main()
