#!/usr/bin/python3
"""deploy/deps.sh: knows what is missing, and says what to do where it cannot install."""
import os
import re
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import ROOT, case, check, equal, main, run

DEPS = os.path.join(ROOT, "deploy/deps.sh")
PLAIN = ("bash", "env", "sed", "grep", "id", "mktemp", "rm", "tail", "paste")


def with_commands(commands, *arguments):
    """Runs deps.sh where only PLAIN commands and these exist: {name: script}."""
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
        for name in PLAIN:
            if name not in commands:
                os.symlink(shutil.which(name), os.path.join(folder, name))
        for name, script in commands.items():
            with open(os.path.join(folder, name), "w") as file:
                file.write("#!%s\n%s\n" % (shutil.which("bash"), script))
            os.chmod(os.path.join(folder, name), 0o755)
        return run(["env", "PATH=" + folder, "CI=true", os.path.join(folder, "bash"), DEPS, *arguments])


@case("everything is here: --check is silent and true, installing does nothing")
def _():
    for arguments in (["--check", "test"], ["test"], ["--check", "build"], ["build"]):
        equal(run([DEPS, *arguments]), (0, ""), "status and output of deps.sh " + " ".join(arguments))


@case("something is missing: --check is silent and false")
def _():
    equal(with_commands({}, "--check", "build"), (1, ""), "status and output")


@case("every set that the Makefile and CI ask for can be looked for, and installed")
def _():
    asked = set()
    for name in ("Makefile", ".ci/run"):
        with open(os.path.join(ROOT, name)) as file:
            asked.update(re.findall(r"deploy/deps\.sh (?:--check )?([a-z]+)", file.read()))
    check({"build", "test", "dev", "guard", "bench"} <= asked, "sets: %s" % sorted(asked))
    for name in sorted(asked):
        equal(with_commands({}, "--check", name)[0], 1, "--check " + name)
        status, output = with_commands({}, name)
        check(status == 1 and "neither Debian nor Ubuntu" in output, "%s: %s" % (name, output))


@case("no apt-get: prints what to install, and stops")
def _():
    status, output = with_commands({}, "build")
    equal(status, 1, "exit status")
    for word in ("neither Debian nor Ubuntu", "libzmq3-dev", "libuv1-dev"):
        check(word in output, "no '%s' in: %s" % (word, output))


@case("no root and no sudo: prints the command for root, and stops")
def _():
    nobody = {"apt-get": "exit 9", "apt-cache": "exit 0", "sudo": "exit 1", "id": "echo 1000"}
    status, output = with_commands(nobody, "build")
    equal(status, 1, "exit status")
    check("apt-get install" in output and "libzmq3-dev" in output, "it said: " + output)


@case("apt-get fails: shows what it said, after three tries")
def _():
    root = {"apt-get": "echo no such luck; exit 100", "apt-cache": "echo '  Candidate: 1.0'", "id": "echo 0"}
    status, output = with_commands(root, "build")
    equal(status, 1, "exit status")
    check("no such luck" in output, "it said: " + output)
    equal(output.count("trying again"), 2, "tries after the first")


@case("a wrong command line prints the usage")
def _():
    for arguments in ([], ["nonsense"], ["--check", "nonsense"]):
        status, output = run([DEPS, *arguments])
        equal(status, 2, "exit status")
        check("deploy/deps.sh" in output, "it said: " + output)


if __name__ == "__main__":
    main()
