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
WEATHER = os.path.join(BUILD, "examples", "weather")


def run(name, *arguments, **environment):
    """Exit status, what it said, and what it complained of. In a folder of its own."""
    path = WEATHER if name == "weather" else program(name)
    with tempfile.TemporaryDirectory() as folder:
        end = subprocess.run([path, *arguments], cwd=folder, capture_output=True, text=True, timeout=30,
                             stdin=subprocess.DEVNULL, env={**os.environ, **environment})
    return end.returncode, end.stdout, end.stderr


def refused(name, *arguments, why, **environment):
    status, output, complaint = run(name, *arguments, **environment)
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


@case("the retriever's help says that --rescan-ms is an upper bound, and its own bounds")
def _():
    output = run("sluice-retriever", "--help")[1]
    check("at least so often, 100 to 86400000 (30000)" in output, output)


@case("sluice-cron next has a help of its own")
def _():
    status, output, _ = run("sluice-cron", "next", "--help")
    equal(status, 0)
    check(output.startswith("usage: sluice-cron next EXPRESSION") and "--zone ZONE" in output, output)
    for default in ("(UTC)", "1 to 1000 (5)", "2026-11-21T03:00:00Z, in UTC (now)"):
        check(default in output, output)
    for expressions in ((), ("0", "3", "*", "*", "*")):
        status, _, complaint = run("sluice-cron", "next", *expressions)
        equal(status, 2)
        check("mon-fri'; see 'sluice-cron next --help'\n" in complaint, complaint)
    status, _, complaint = run("sluice-cron", "next", "--nonsense", "* * * * *")
    equal(status, 2)
    check("unknown option '--nonsense'; see 'sluice-cron next --help'" in complaint, complaint)


@case("output that cannot be written is a failure: exit 1")
def _():
    with tempfile.NamedTemporaryFile("w", suffix=".json") as config, open("/dev/full", "w") as full:
        config.write('{"entries": []}')
        config.flush()
        for name, *arguments in (*((name, option) for name in AGENTS for option in ("--help", "--version")),
                                 ("sluice-cron", "next", "--help"), ("sluice-cron", "next", "* * * * *"),
                                 ("sluice-cron", "--check", "--config", config.name)):
            end = subprocess.run([program(name), *arguments], stdout=full, stderr=subprocess.PIPE, text=True,
                                 stdin=subprocess.DEVNULL, timeout=30, check=False)
            equal(end.returncode, 1, "exit status of %s %r" % (name, arguments))
            said = name + (" next" if "next" in arguments else "")
            equal(end.stderr, said + ": cannot write the output: No space left on device\n")


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
    refused("sluice-cron", "--check", why="--check needs --config FILE\n")
    refused("sluice-cron", "--check", "--state", "state", why="--check needs --config FILE\n")
    refused("sluice-retriever", why="--docs DIR is missing")
    refused("sluice-retriever", "--docs", "--debug", why="--docs needs a value: DIR...")
    refused("sluice-retriever", "--docs", "/", "nowhere", why="cannot read 'nowhere': No such file")
    refused("sluice-retriever", "--docs", "/", "", why="the name is empty")
    refused("sluice-retriever", "--docs", "/", "--rescan-ms", "1e3", why="from 100 to 86400000, not '1e3'")


@case("an endpoint that is none is shown, with whence it is and what one looks like")
def _():
    form = " is no broker's endpoint: an endpoint is tcp://HOST:PORT or ipc://PATH\n"
    for name in (*AGENTS, "weather"):
        needed = NEEDED.get(name, ())
        refused(name, *needed, "--broker", "nonsense", why=": --broker: 'nonsense'" + form)
        refused(name, *needed, "--broker", "nonsense", "--name", "good", why=": --broker: 'nonsense'" + form)
        refused(name, *needed, why=": $SLUICE_BROKER: 'nonsense'" + form, SLUICE_BROKER="nonsense")
    refused("sluice-tool", "--broker", "a\n\x1b[1m", why="'a??[1m'" + form)


@case("an endpoint that is none is told before there are files")
def _():
    for name, options in (("sluice-cron", ("--state", "state")), ("sluice-retriever", ("--docs", ".", "--index", "index"))):
        with tempfile.TemporaryDirectory() as folder:
            end = subprocess.run([program(name), *options, "--broker", "nonsense"], cwd=folder, timeout=30,
                                 capture_output=True, check=False)
            equal((end.returncode, os.listdir(folder)), (2, []))


@case("a name that is none is shown, and nothing else is blamed")
def _():
    for name in (*AGENTS, "weather"):
        for bad, shown in (("a\n\x1b[1m", "a??[1m"), ("n" * 65, "n" * 60), ("n" + "\u00e4" * 32, "n" + "\u00e4" * 29),
                           (b"n\xff", "n?")):
            refused(name, *NEEDED.get(name, ()), "--name", bad,
                    why=": --name needs 1 to 64 bytes of text, not '%s'\n" % shown)
    refused("sluice-tool", "--name", "\u00e4" * 32, "--broker", "nonsense", why="'nonsense' is no broker's")


@case("an example says what it does, and when there is no broker for it")
def _():
    check("--serve" in run("weather", "--help")[1], "help")
    equal(run("weather", "--serve", "--ask")[0], 2)
    status, _, complaint = run("weather", "--ask", "--broker", "tcp://127.0.0.1:1")
    equal(status, 1)
    check("weather: no broker at tcp://127.0.0.1:1; start one: sluice-broker" in complaint, complaint)


if __name__ == "__main__":
    main()
