#!/usr/bin/python3
"""The command lines of the agents: what is asked for is told, what is wrong is named, with where help is."""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import BUILD, case, check, equal, main, program  # noqa: E402

AGENTS = ("sluice-tool", "sluice-analysis", "sluice-research", "sluice-cron", "sluice-retriever")
NEEDED = {"sluice-cron": ("--state", "state"), "sluice-retriever": ("--docs", ".")}


def run(name, *arguments):
    """Exit status, what it said, and what it complained of. In a folder of its own."""
    path = name if os.path.isabs(name) else program(name)
    with tempfile.TemporaryDirectory() as folder:
        end = subprocess.run([path, *arguments], cwd=folder, capture_output=True, text=True, timeout=30,
                             stdin=subprocess.DEVNULL)
    return end.returncode, end.stdout, end.stderr


def refused(name, *arguments, why):
    status, output, complaint = run(name, *arguments)
    equal(status, 2, "exit status of %s %r: %s" % (name, arguments, complaint))
    equal(output, "")
    check(complaint.startswith(name + ": ") and why in complaint, complaint)
    check("Try '%s --help'." % name in complaint, complaint)


@case("help and version are told, before anything else is looked at")
def _():
    for name in AGENTS:
        for word in ("--help", "-h"):
            status, output, complaint = run(name, word, "--broker", "nonsense")
            equal((status, complaint), (0, ""))
            check(output.startswith("usage: %s " % name), output)
            for option in ("--broker ENDPOINT", "--name NAME", "--version", "--help"):
                check(option in output, output)
        equal(run(name, "--version")[:2], run(name, "--version", "--name", "x")[:2])
        check(run(name, "--version")[1].startswith(name + " "), name)


@case("sluice-cron next has a help of its own")
def _():
    status, output, _ = run("sluice-cron", "next", "--help")
    equal(status, 0)
    check(output.startswith("usage: sluice-cron next EXPRESSION") and "--zone ZONE" in output, output)
    status, _, complaint = run("sluice-cron", "next", "--nonsense", "* * * * *")
    equal(status, 2)
    check("unknown option '--nonsense'; see 'sluice-cron next --help'" in complaint, complaint)


@case("what is wrong on a command line is named, with where help is")
def _():
    for name in AGENTS:
        refused(name, "--nonsense", why="unknown option '--nonsense'")
        refused(name, "--name", "", why="--name is empty")
        refused(name, "--broker", why="--broker needs a value: ENDPOINT")
        refused(name, "--help=yes", why="--help takes no value")
        refused(name, "stray", why="what is 'stray'?")
    refused("sluice-research", "--deadline-ms", "99", why="from 100 to 600000, not '99'")
    refused("sluice-cron", why="nothing to plan")
    refused("sluice-cron", "--check", "--state", "state", why="nothing to plan")
    refused("sluice-retriever", why="--docs DIR is missing")
    refused("sluice-retriever", "--docs", "--debug", why="--docs needs a value: DIR...")
    refused("sluice-retriever", "--docs", "/", "nowhere", why="cannot read 'nowhere': No such file")
    refused("sluice-retriever", "--docs", "/", "", why="the name is empty")
    refused("sluice-retriever", "--docs", "/", "--rescan-ms", "1e3", why="from 100 to 86400000, not '1e3'")


@case("an endpoint or a name that is none is told apart from everything else")
def _():
    for name in AGENTS:
        status, _, complaint = run(name, *NEEDED.get(name, ()), "--broker", "nonsense")
        equal(status, 1)
        check("'nonsense' is no broker's endpoint\n" in complaint, complaint)
        status, _, complaint = run(name, *NEEDED.get(name, ()), "--broker", "tcp://127.0.0.1:1", "--name", "a\nb")
        equal(status, 1)
        check("or 'a\nb' no name" in complaint, complaint)


@case("an example says what it does, and when there is no broker for it")
def _():
    path = os.path.join(BUILD, "examples", "weather")
    check("--serve" in run(path, "--help")[1], "help")
    equal(run(path, "--serve", "--ask")[0], 2)
    status, _, complaint = run(path, "--ask", "--broker", "tcp://127.0.0.1:1")
    equal(status, 1)
    check("weather: no broker at tcp://127.0.0.1:1; start one: sluice-broker" in complaint, complaint)


if __name__ == "__main__":
    main()
