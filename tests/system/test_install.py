#!/usr/bin/python3
"""What `make install` gives is enough for programs of others: those of docs/agents.md."""
import glob
import os
import re
import shlex
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from example import extract
from sluice_test import BUILD, ROOT, Broker, Process, case, check, equal, free_port, main, program, run

FLAGS = ["-Wall", "-Wextra", "-Werror"]
with open(program("sluice-broker"), "rb") as binary:
    if b"__asan_init" in binary.read():
        FLAGS += ["-fsanitize=address,undefined"]


class Installed:
    """A tree under a private prefix, and programs built against it."""

    def __enter__(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="sluice-test-")
        self.prefix = os.path.join(self.scratch.name, "usr")
        with open(os.path.join(ROOT, "Makefile")) as makefile:
            version = re.search(r"^VERSION *:= *(\S+)", makefile.read(), re.MULTILINE).group(1)
        subprocess.run([os.path.join(ROOT, "deploy/install.sh")], check=True, stdout=subprocess.DEVNULL,
                       env=dict(os.environ, BUILD=BUILD, PREFIX=self.prefix, VERSION=version, DESTDIR=""))
        return self

    def __exit__(self, *_):
        self.scratch.cleanup()

    def pkg_config(self, *options):
        environment = dict(os.environ, PKG_CONFIG_PATH=self.prefix + "/lib/pkgconfig")
        return subprocess.run(["pkg-config", *options], check=True, env=environment,
                              capture_output=True, text=True).stdout.split()

    def libs(self, static):
        if not static:
            return self.pkg_config("--libs", "sluice")
        # libsluice inside the program, the libraries below it shared, as distributions have them.
        below = self.pkg_config("--print-requires-private", "sluice")
        return [self.prefix + "/lib/libsluice.a" if lib == "-lsluice" else lib
                for lib in self.pkg_config("--libs", "sluice", *below)] + ["-lm", "-lpthread"]

    def compile(self, name, static=False):
        """Builds a program of docs/agents.md; its path."""
        path = os.path.join(self.scratch.name, name)
        with open(path + ".c", "w") as file:
            file.write(extract("c", name + ".c"))
        libs = self.libs(static)
        status, output = run(["cc", *FLAGS, path + ".c", "-o", path, *self.pkg_config("--cflags", "sluice"), *libs,
                              "-Wl,-rpath," + self.prefix + "/lib"], seconds=60)
        equal(status, 0, "compiling %s: %s;" % (name, output))
        return path


def use(installed, static):
    worker, submitter = installed.compile("words", static), installed.compile("ask_words", static)
    with Broker() as broker:
        environment = {"SLUICE_BROKER": broker.endpoint}
        with Process([worker], environment) as words, Process([submitter], environment) as asked:
            equal(asked.wait_exit(20), 0, "exit status of ask_words, which said '%s'; words: %s;" %
                  (asked.output(), words.output()))
            check("5 words, counted by words" in asked.output(), "it said: " + asked.output())
            words.signal(15)
            equal(words.wait_exit(20), 0, "exit status of words after SIGTERM")


@case("the C programs of docs/agents.md build against the shared library, and work")
def _():
    with Installed() as installed:
        use(installed, static=False)


@case("and with the static one inside")
def _():
    with Installed() as installed:
        use(installed, static=True)


@case("the libraries show nothing but what sluice.h declares")
def _():
    with Installed() as installed:
        with open(installed.prefix + "/include/sluice.h") as header:
            declared = set(re.findall(r"\b(sluice_\w+)\(", header.read()))
        for library, options in (("libsluice.so", ["-D"]), ("libsluice.a", [])):
            listed = subprocess.run(["nm", *options, "--defined-only", "--extern-only",
                                     "%s/lib/%s" % (installed.prefix, library)], check=True,
                                    capture_output=True, text=True).stdout
            shown = {words[2] for words in map(str.split, listed.splitlines()) if len(words) == 3}
            extra = {s for s in shown - declared if not s.startswith(("_", "__"))}
            equal(extra, set(), "symbols of %s that sluice.h does not declare" % library)
            check("sluice_new" in shown, "%s shows no sluice_new" % library)


@case("programs and documents are where they belong, and run from there")
def _():
    with Installed() as installed:
        for name in ("sluice", "sluice-broker", "sluice-retriever", "sluice-tool", "sluice-analysis",
                     "sluice-research", "sluice-cron"):
            status, output = run([os.path.join(installed.prefix, "bin", name), "--help"])
            equal(status, 0, "exit status of %s --help, which said %s;" % (name, output))
        status, output = run([os.path.join(installed.prefix, "bin/sluice-cluster"), "status", "--run",
                              os.path.join(installed.scratch.name, "run")])
        equal(status, 3, "exit status of sluice-cluster status, which said %s;" % output)
        check(glob.glob(installed.prefix + "/share/doc/sluice/PROTOCOL.md"), "no PROTOCOL.md")


def make_install(folder, prefix):
    """What `make install` runs, run on what is built: (status, output)."""
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    command = subprocess.run(["make", "-n", "install", "PREFIX=" + prefix, "DESTDIR=", "BUILD=" + BUILD],
                             cwd=ROOT, env=environment, check=True, capture_output=True,
                             text=True).stdout.splitlines()[-1]
    check(command.endswith("deploy/install.sh"), "make install runs: " + command)
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, env=dict(environment, HOME=folder), check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


@case("a prefix may have spaces, what it needs is said; a relative one is refused")
def _():
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
        prefix = folder + "/my own"
        status, output = make_install(folder, prefix)
        equal(status, 0, "exit status of make install, which said " + output)
        exports = "\n".join(re.findall("^ *export .*", output, re.MULTILINE))
        status, flags = run(["bash", "-c", exports + """
            pkg-config --cflags --libs sluice
            printf '%s\\n' "$PKG_CONFIG_PATH" "$LD_LIBRARY_PATH" """])
        equal(status, 0, "exit status of pkg-config, which said " + flags)
        lines = flags.splitlines()
        equal([path.split(":")[0] for path in lines[-2:]], [prefix + "/lib/pkgconfig", prefix + "/lib"], "paths")
        check("-I" + prefix + "/include" in shlex.split(lines[0]), "flags: " + lines[0])
        status, output = make_install(folder, "relative/one")
        check(status != 0 and "PREFIX" in output, "a relative prefix: %d %s" % (status, output))


@case("sluice-cluster goes by its name, and has documents of its own")
def _():
    with Installed() as installed:
        cluster = ["env", "-u", "BUILD", "SLUICE_STATE=" + installed.scratch.name,
                   "SLUICE_RUN=" + os.path.join(installed.scratch.name, "run"),
                   installed.prefix + "/bin/sluice-cluster"]
        status, output = run([*cluster, "help"])
        check(status == 0 and "sluice-cluster up" in output and "cluster.sh" not in output, output)
        status, output = run([*cluster, "nonsense"])
        check(status == 2 and output.startswith("sluice-cluster: "), output)
        try:
            status, output = run([*cluster, "up", "--tool", "0", "--analysis", "0", "--research", "0",
                                  "--broker", "tcp://127.0.0.1:%d" % free_port()], seconds=60)
            equal(status, 0, "exit status of up, which said " + output)
            with open(os.path.join(installed.scratch.name, "run", "cluster.conf")) as file:
                check("docs=%s/share/doc/sluice\n" % installed.prefix in file.read(), "other documents")
        finally:
            run([*cluster, "down"], seconds=60)


if __name__ == "__main__":
    main()
