#!/usr/bin/python3
"""deploy/cluster.sh: starts, watches, changes and ends a cluster, and leaves nothing behind."""
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import (BUILD, ROOT, Deadline, Peer, Process, case, check, equal, free_port, main,
                         program, run, wait_gone)

CLUSTER = os.path.join(ROOT, "deploy/cluster.sh")
ONE_EACH = ["broker", "retriever-1", "tool-1", "analysis-1", "research-1"]
TOOL_ONLY = ("--retriever", "0", "--tool", "1", "--analysis", "0", "--research", "0")


class Cluster:
    """A private run directory and port; whatever runs there is taken down at the end."""

    def __init__(self):
        self.scratch = tempfile.mkdtemp(prefix="sluice-test-")
        self.run_dir = os.path.join(self.scratch, "run")
        self.docs = os.path.join(self.scratch, "docs")
        self.state = os.path.join(self.scratch, "state")
        self.bin = os.path.join(BUILD, "bin")
        os.mkdir(self.docs)
        with open(os.path.join(self.docs, "note.md"), "w") as file:
            file.write("# Valves\n\nA sluice is a gate that controls how much water flows.\n")
        self.endpoint = "tcp://127.0.0.1:%d" % free_port()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid, _ in self.processes().values():
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
        self("down")
        shutil.rmtree(self.scratch, ignore_errors=True)

    def __call__(self, *arguments, seconds=60):
        """Runs cluster.sh: (status, output)."""
        return run(self.command(*arguments), seconds)

    def command(self, *arguments):
        return ["env", "SLUICE_BIN=" + self.bin, "SLUICE_STATE=" + self.state,
                CLUSTER, *arguments, "--run", self.run_dir]

    def replace(self, name, script):
        """From now on `script` is the program of that name."""
        bin_dir = os.path.join(self.scratch, "bin")
        os.mkdir(bin_dir)
        for other in os.listdir(self.bin):
            if other != name:
                os.symlink(os.path.join(self.bin, other), os.path.join(bin_dir, other))
        with open(os.path.join(bin_dir, name), "w") as file:
            file.write("#!/bin/sh\n" + script)
        os.chmod(os.path.join(bin_dir, name), 0o755)
        self.bin = bin_dir

    def good(self, *arguments, seconds=60):
        status, output = self(*arguments, seconds=seconds)
        equal(status, 0, "exit status of cluster.sh %s, which said:\n%s\n" % (" ".join(arguments), output))
        return output

    def up(self, *arguments):
        return self.good("up", "--broker", self.endpoint, "--docs", self.docs, *arguments)

    def status(self):
        """{name: (state, pid, restarts)}"""
        rows = re.findall(r"^(\S+) +(\S+) +(\d+) +(\d+) ", self("status")[1], re.MULTILINE)
        return {name: (state, int(pid), int(restarts)) for name, state, pid, restarts in rows}

    def pids(self):
        return {name: pid for name, (_, pid, _) in self.status().items()}

    def processes(self):
        """{name: (supervisor, child)} as recorded."""
        return self.processes_in(self.run_dir)

    @staticmethod
    def processes_in(run_dir):
        found = {}
        if os.path.isdir(run_dir):
            for file in os.listdir(run_dir):
                if re.fullmatch(r"(broker|[a-z]+-\d+)\.state", file):
                    with open(os.path.join(run_dir, file)) as state:
                        words = dict(line.split(None, 1) for line in state.read().splitlines())
                    found[file[:-6]] = (int(words["supervisor"].split()[0]),
                                        int(words["child"].split()[0]))
        return found

    def wait_listed(self, name, seconds=20):
        """Until the broker lists `name` as serving something."""
        deadline = Deadline(seconds)
        with Peer(self.endpoint, "watcher") as watcher:
            while not any(p["name"] == name and p["offers"] for p in watcher.query("peers")["peers"]):
                check(not deadline.passed(), "%s is not listed: %s" % (name, watcher.query("peers")))

    def wait_status(self, condition, what, seconds=20):
        deadline = Deadline(seconds)
        while True:
            status = self.status()
            if condition(status):
                return status
            check(not deadline.passed(), "%s; status: %s" % (what, status))


def runs(pid):
    """True for a process that is not a zombie."""
    try:
        with open("/proc/%d/stat" % pid) as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@case("up starts a broker and every role; down leaves nothing behind")
def _():
    with Cluster() as cluster:
        output = cluster.up("--retriever", "2")
        check("retriever-2" in output, "up said: " + output)
        status = cluster.status()
        equal(sorted(status), sorted(ONE_EACH + ["retriever-2"]), "members")
        equal({s[0] for s in status.values()}, {"running"}, "states")
        with Peer(cluster.endpoint, "watcher") as watcher:
            services = {s["service"]: s["workers"] for s in watcher.query("catalog")["services"]}
        equal((services["retriever.search"], services["tool.calc"], services["research.ask"]), (2, 1, 1),
              "workers of retriever.search, tool.calc, research.ask")
        processes = [pid for pair in cluster.processes().values() for pid in pair]
        equal(len(processes), 12, "processes")
        cluster.good("down")
        equal([pid for pid in processes if runs(pid)], [], "processes that still run")
        check(not os.path.exists(cluster.run_dir), "the run directory is still there")
        with socket.socket() as probe:
            host, port = cluster.endpoint[6:].split(":")
            check(probe.connect_ex((host, int(port))) != 0, "something still listens")
        equal(cluster("status")[0], 3, "exit status of status")
        cluster.good("down")  # again is no error


@case("up is over when all serve, not when all are connected")
def _():
    with Cluster() as cluster:
        for number in range(100):  # it reads them all before it serves, for a second or more
            with open(os.path.join(cluster.docs, "%d.md" % number), "w") as file:
                for gate in range(500):
                    file.write("# Gate %d of %d\n\nIt opens at noon, %d times.\n\n" % (gate, number, gate))
        cluster.up("--retriever", "1", "--tool", "0", "--analysis", "0", "--research", "0")
        status, output = run([program("sluice"), "services", "--broker", cluster.endpoint])
        equal(status, 0, "status of sluice services, which said:\n" + output)
        check("retriever.search" in output, "it does not serve yet:\n" + output)


@case("up again changes nothing; up with more adds only what is missing")
def _():
    with Cluster() as cluster:
        cluster.up()
        before = cluster.pids()
        cluster.up()
        equal(cluster.pids(), before, "pids after up again")
        cluster.up("--tool", "2")
        after = cluster.pids()
        equal({n: p for n, p in after.items() if n in before}, before, "pids after up --tool 2")
        equal(set(after) - set(before), {"tool-2"}, "what was added")


@case("a crashed agent is started again, and the count says so")
def _():
    with Cluster() as cluster:
        cluster.up()
        victim = cluster.pids()["tool-1"]
        os.kill(victim, signal.SIGKILL)
        status = cluster.wait_status(lambda s: s["tool-1"][0] == "running" and s["tool-1"][1] != victim,
                                     "tool-1 was not started again")
        equal(status["tool-1"][2], 1, "restarts")
        cluster.wait_listed("tool-1")
        check("ended with status 137" in cluster.good("logs", "tool-1"), "the log does not say why")


@case("a crashed broker is started again, and the agents find it")
def _():
    with Cluster() as cluster:
        cluster.up()
        before = cluster.pids()
        os.kill(before["broker"], signal.SIGKILL)
        after = cluster.wait_status(lambda s: s["broker"][0] == "running" and
                                    s["broker"][1] != before["broker"], "the broker was not started again")
        for name in ONE_EACH[1:]:
            cluster.wait_listed(name)
            equal(after[name][1], before[name], "pid of " + name)


@case("scale adds and removes; restart replaces one")
def _():
    with Cluster() as cluster:
        cluster.up()
        before = cluster.pids()
        cluster.good("scale", "tool=3", "research=0")
        equal(set(cluster.pids()), set(ONE_EACH) - {"research-1"} | {"tool-2", "tool-3"}, "members")
        cluster.good("scale", "tool=1", "research=1")
        equal(set(cluster.pids()), set(ONE_EACH), "members")
        cluster.good("restart", "analysis-1")
        after = cluster.pids()
        check(after["analysis-1"] != before["analysis-1"], "analysis-1 has the same pid")
        equal((after["broker"], after["tool-1"]), (before["broker"], before["tool-1"]), "other pids")
        status, output = cluster("restart", "nobody")
        check(status != 0 and "nobody" in output, "restart nobody: %d %s" % (status, output))
        status, output = cluster("scale", "tool=many")
        check(status != 0 and "number" in output, "scale tool=many: %d %s" % (status, output))


@case("a cron agent is started when it is told what to plan")
def _():
    with Cluster() as cluster, tempfile.TemporaryDirectory() as folder:
        cluster.up()
        status, output = cluster("scale", "cron=1")
        check(status != 0 and "nothing to plan" in output, "scale cron=1: %d %s" % (status, output))
        path, state = os.path.join(folder, "cron.json"), os.path.join(folder, "cron.state")
        with open(path, "w") as file:
            json.dump({"entries": [{"name": "nap", "every": "1s", "service": "tool.sleep",
                                    "payload": {"ms": 1}}]}, file)
        before = cluster.pids()
        cluster.up("--cron", path, "--cron-state", state)
        cluster.good("scale", "cron=2")
        after = cluster.pids()
        equal(set(after) - set(before), {"cron-1", "cron-2"}, "what was added")
        equal({n: p for n, p in after.items() if n in before}, before, "the pids of the others")
        worse = os.path.join(folder, "worse.json")
        with open(worse, "w") as file:
            json.dump({"entries": [{"name": "nap", "service": "tool.sleep"}]}, file)
        status, output = cluster("up", "--cron", worse, "--cron-state", state)
        check(status != 0 and "cron or every is needed" in output, "up --cron worse: %d %s" % (status, output))
        equal(cluster.pids(), after, "they go on with what they have")
        with Peer(cluster.endpoint, "watcher") as watcher:
            rows = {s["service"]: s["workers"] for s in watcher.query("catalog")["services"]}
        equal((rows["cron.list"], rows["cron.add"]), (2, 1), "workers of cron.list, cron.add")
        cluster.good("down")
        check(os.path.exists(state), "the state has gone")


def submit_durable(cluster, service):
    """(exit status, task or what was said)."""
    done = subprocess.run([program("sluice"), "submit", service, "--durable", "--detached", "--wait",
                           "--broker", cluster.endpoint], timeout=30, capture_output=True, text=True,
                          check=False)
    return done.returncode, (done.stdout or done.stderr).strip()


@case("durable tasks outlive the cluster")
def _():
    with Cluster() as cluster:
        small = ("--retriever", "0", "--analysis", "0", "--research", "0")
        cluster.up(*small)
        status, task = submit_durable(cluster, "later")
        equal(status, 0, "exit status of submit, which said " + task)
        output = cluster.good("down")
        stores = os.listdir(cluster.state)
        equal(stores, ["tcp-127.0.0.1_%s.db" % cluster.endpoint.rsplit(":", 1)[1]], "the state")
        check(os.path.join(cluster.state, stores[0]) in output, "down does not say where: " + output)
        equal(os.stat(cluster.state).st_mode & 0o777, 0o700, "mode")
        equal(os.listdir(cluster.scratch).count("run"), 0, "the run directory")
        cluster.up(*small)
        check(stores[0] in cluster("status")[1], "status does not say where")
        with Peer(cluster.endpoint, "worker") as worker:
            worker.offer("later", 1)
            taken = worker.task()
            equal(str(uuid.UUID(bytes=bytes(taken[1]))), task, "the task")
            worker.done(taken)
        os.kill(cluster.pids()["broker"], signal.SIGKILL)  # the supervisor knows the store, too
        cluster.wait_listed("tool-1")
        equal(submit_durable(cluster, "later")[0], 0, "exit status of submit")


@case("a cluster without a store, and one whose configuration names it")
def _():
    small = ("--retriever", "0", "--analysis", "0", "--research", "0")
    with Cluster() as cluster:
        cluster.up("--no-store", *small)
        status, said = submit_durable(cluster, "later")
        check(status == 1 and "unsupported" in said, "%d: %s" % (status, said))
        status, said = cluster("up", "--state", cluster.state)
        check(status != 0 and "take it down first" in said, said)
        cluster.up()  # again is no error
        check(not os.path.exists(cluster.state), "there is one")
    with Cluster() as cluster:
        own = os.path.join(cluster.scratch, "own.db")
        config = os.path.join(cluster.scratch, "sluice.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write("broker\n    store = %s\n" % own)
        cluster.up("--config", config, *small)
        equal(submit_durable(cluster, "later")[0], 0, "exit status of submit")
        check(os.path.exists(own) and not os.path.exists(cluster.state), "another one is used")


@case("a port in use: says so, shows the log, leaves nothing behind")
def _():
    with Cluster() as cluster, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        cluster.endpoint = "tcp://127.0.0.1:%d" % taken.getsockname()[1]
        status, output = cluster("up", "--broker", cluster.endpoint, "--docs", cluster.docs)
        equal(status, 1, "exit status")
        check("broker.log" in output and "in use" in output, "it said: " + output)
        check("starting it again" not in output, "it gives up, but said: " + output)
        check(not os.path.exists(cluster.run_dir), "the run directory is still there")


@case("files of others are left alone, and a folder of theirs is not made a cluster's")
def _():
    others = ["app.log", "app.log.1", "terraform.state"]
    with Cluster() as cluster:
        os.mkdir(cluster.run_dir)
        for name in others:
            with open(os.path.join(cluster.run_dir, name), "w") as file:
                file.write("precious\n")
        check("no cluster runs in " + cluster.run_dir in cluster.good("down"), "down does not say it")
        equal(sorted(os.listdir(cluster.run_dir)), sorted(others), "files after down")
        status, output = cluster("up", "--broker", cluster.endpoint, "--docs", cluster.docs)
        check(status == 1 and "app.log" in output and "--run DIR" in output, "up: %d %s" % (status, output))
        equal(sorted(os.listdir(cluster.run_dir)), sorted(others), "files after up")


@case("in a cluster's own folder only its own files are listed and removed")
def _():
    others = ["app.log", "app.log.1", "terraform.state", "tool-1.state.bak", "tool-x.log"]
    with Cluster() as cluster:
        cluster.up(*TOOL_ONLY)
        for name in others + ["tool-1.log.1"]:
            with open(os.path.join(cluster.run_dir, name), "w") as file:
                file.write("precious\n")
        equal(sorted(cluster.status()), ["broker", "tool-1"], "members")
        cluster.good("down", "--keep-logs")
        equal(sorted(os.listdir(cluster.run_dir)), sorted(others + ["broker.log", "tool-1.log", "tool-1.log.1"]),
              "files after down --keep-logs")
        for name in others:
            os.unlink(os.path.join(cluster.run_dir, name))
        cluster.up(*TOOL_ONLY)  # logs of ours are no reason to refuse
        cluster.good("down")
        check(not os.path.exists(cluster.run_dir), "the run directory is still there")


@case("up again does not pass over what it cannot change")
def _():
    with Cluster() as cluster:
        config = os.path.join(cluster.scratch, "sluice.conf")
        with open(config, "w") as file:
            file.write("limits\n    max_peers = 100\n")
        wrong = os.path.join(cluster.scratch, "wrong.conf")
        with open(wrong, "w") as file:
            file.write("limits\n    max_piers = 100\n")
        status, output = cluster("up", "--broker", cluster.endpoint, "--config", wrong, *TOOL_ONLY)
        check(status != 0 and "max_piers" in output, "up --config wrong: %d %s" % (status, output))
        cluster.up(*TOOL_ONLY, "--tool", "2")
        before = cluster.pids()
        for options, word in ((["--config", config], "configuration"), (["--no-broker"], "broker of its own"),
                              (["--config", wrong], "max_piers")):
            status, output = cluster("up", *options)
            check(status == 1 and word in output, "up %s: %d %s" % (options, status, output))
            check(word == "max_piers" or "take it down first" in output, "it said: " + output)
        output = cluster.good("up", "--tool", "1")
        check("tool stays at 2; `scale tool=1` for fewer" in output, "it said: " + output)
        equal(cluster.pids(), before, "pids")
        cluster.good("down")
        cluster.up("--config", config, *TOOL_ONLY)
        cluster.up("--config", config)  # the same again is no error
        check("max_peers=100" in cluster.good("logs", "broker"), "the configuration is not used")
        status, output = cluster("up", "--config", config, "--no-broker")
        check(status != 0 and "--config" in output, "up --config --no-broker: %d %s" % (status, output))


def peer_names(cluster):
    with Peer(cluster.endpoint, "watcher") as watcher:
        return {p["name"] for p in watcher.query("peers")["peers"]} - {"watcher"}


@case("agents of several machines at one broker have names of their own")
def _():
    host = re.sub(r"[^A-Za-z0-9._-]", "_", socket.gethostname())[:50]
    with Cluster() as cluster, Cluster() as second, Cluster() as third:
        cluster.up(*TOOL_ONLY)
        there = ("--no-broker", "--broker", cluster.endpoint, *TOOL_ONLY)
        check(host + "-NAME" in second.good("up", *there), "up does not say what they are called")
        third.good("up", *there, "--prefix", "cellar")
        equal(peer_names(cluster), {"tool-1", host + "-tool-1", "cellar-tool-1"}, "peers")
        third.good("up", *there)
        status, output = third("up", *there, "--prefix", "attic")
        check(status == 1 and "take it down first" in output, "up --prefix attic: %d %s" % (status, output))
        third.good("scale", "tool=2")
        check("cellar-tool-2" in peer_names(cluster), "scale gives it another name")
        equal(sorted(third.status()), ["tool-1", "tool-2"], "members")
        for prefix in ("a b", "x" * 51, "-"):
            status, output = third("up", *there, "--prefix", prefix)
            check(status == 1 and "--prefix is" in output, "%s: %d %s" % (prefix, status, output))


@case("up waits for its own agents, not for those of another machine")
def _():
    with Cluster() as cluster, Cluster() as second:
        cluster.up(*TOOL_ONLY)
        second.replace("sluice-tool", "exec sleep 600\n")
        status, output = second("up", "--no-broker", "--broker", cluster.endpoint, *TOOL_ONLY, "--wait", "5")
        check(status == 1 and "tool-1 does not serve anything" in output, "up: %d %s" % (status, output))


@case("a run directory that vanishes takes its cluster with it")
def _():
    with Cluster() as cluster:
        cluster.up(*TOOL_ONLY)
        victim = cluster.pids()["tool-1"]
        os.kill(victim, signal.SIGKILL)
        cluster.wait_status(lambda s: s["tool-1"][1] not in (0, victim), "tool-1 was not started again")
        before = [pid for pair in cluster.processes().values() for pid in pair]
        shutil.rmtree(cluster.run_dir)
        wait_gone(before, seconds=60)
        cluster.up(*TOOL_ONLY)
        os.rename(cluster.run_dir, cluster.run_dir + ".old")  # and its place is taken at once
        before = [pid for pair in cluster.processes_in(cluster.run_dir + ".old").values() for pid in pair]
        cluster.endpoint = "tcp://127.0.0.1:%d" % free_port()
        cluster.up(*TOOL_ONLY)
        wait_gone(before, seconds=60)
        equal({state for state, _, _ in cluster.status().values()}, {"running"}, "states of the new one")


@case("more documents do not take the search away")
def _():
    with Cluster() as cluster:
        cluster.up("--retriever", "2", "--tool", "0", "--analysis", "0", "--research", "0")
        before = cluster.pids()
        more = os.path.join(cluster.scratch, "more")
        os.mkdir(more)
        least = 2
        with Peer(cluster.endpoint, "watcher") as watcher, \
                Process(cluster.command("up", "--docs", more, "--retriever", "3")) as process:
            while process.running():
                workers = [s["workers"] for s in watcher.query("catalog")["services"]
                           if s["service"] == "retriever.search"]
                least = min(least, sum(workers))
            equal(process.wait_exit(), 0, "exit status of up, which said " + process.output())
        check(least > 0, "nobody served retriever.search for a while")
        after = cluster.pids()
        equal([name for name in before if after[name] == before[name]], ["broker"], "who still runs")
        with open("/proc/%d/cmdline" % after["retriever-1"]) as file:
            check(more in file.read().split("\0"), "retriever-1 does not have them")


@case("who waits is told for what, and a wrong endpoint at once")
def _():
    with Cluster() as cluster:
        status, output = cluster("up", "--no-broker", "--broker", "garbage", *TOOL_ONLY)
        check(status == 1 and "'garbage' is no broker's endpoint" in output, "up: %d %s" % (status, output))
        with Process(cluster.command("up", "--no-broker", "--broker", cluster.endpoint, *TOOL_ONLY)) as process:
            line = process.wait_line("waiting for the broker at " + cluster.endpoint, seconds=30)
            check("Connection refused" in line, "it does not say why: " + line)
            process.signal(signal.SIGINT)
            process.wait_exit()
        cluster.good("down")
        cluster.up(*TOOL_ONLY)
        with open(os.path.join(cluster.run_dir, "lock")) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with Process(cluster.command("restart", "tool-1")) as process:
                process.wait_line("waiting for another cluster.sh", seconds=30)
                fcntl.flock(lock, fcntl.LOCK_UN)
                equal(process.wait_exit(30), 0, "exit status of restart, which said " + process.output())
        hanging = cluster.pids()["tool-1"]
        os.kill(hanging, signal.SIGSTOP)
        with Process(cluster.command("restart", "tool-1")) as process:
            process.wait_line("waiting for tool-1 to end", seconds=30)
            os.kill(hanging, signal.SIGCONT)
            equal(process.wait_exit(30), 0, "exit status of restart, which said " + process.output())


@case("an interrupted up says that something is running")
def _():
    with Cluster() as cluster:
        cluster.replace("sluice-tool", "exec sleep 600\n")
        with Process(cluster.command("up", "--broker", cluster.endpoint, *TOOL_ONLY)) as process:
            process.wait_line("waiting for tool-1", seconds=30)
            process.signal(signal.SIGINT)
            equal(process.wait_exit(), 130, "exit status of up")
            check("still starting" in process.output() and "`down`" in process.output(),
                  "it said: " + process.output())
        equal(sorted(cluster.status()), ["broker", "tool-1"], "members")
        cluster.good("down")


@case("what up tells a shell to export, a shell understands")
def _():
    with Cluster() as cluster:
        cluster.endpoint = "ipc://%s/my $(false) broker" % cluster.scratch
        output = cluster.up(*TOOL_ONLY)
        (line,) = re.findall("^export .*", output, re.MULTILINE)
        status, output = run(["bash", "-c", line + '\nprintf "%s\\n" "$SLUICE_BROKER"'])
        equal((status, output), (0, cluster.endpoint), "what comes of '%s'" % line)


@case("a recycled pid is left alone")
def _():
    with Cluster() as cluster, subprocess.Popen(["sleep", "600"]) as stranger:
        try:
            cluster.up()
            supervisor, child = cluster.processes()["tool-1"]
            os.kill(supervisor, signal.SIGKILL)
            os.kill(child, signal.SIGKILL)
            # As if the kernel had given both pids to somebody else meanwhile.
            path = os.path.join(cluster.run_dir, "tool-1.state")
            with open(path) as file:
                text = file.read()
            with open(path, "w") as file:
                file.write(re.sub(r"^(supervisor|child) \d+", r"\1 %d" % stranger.pid, text, flags=re.M))
            equal(cluster.status()["tool-1"][0], "gone", "state")
            cluster.good("down")
            check(runs(stranger.pid), "somebody else's process was killed")
        finally:
            stranger.kill()


@case("a killed supervisor: up and down take care of what it left")
def _():
    with Cluster() as cluster:
        cluster.up("--research", "0")
        supervisor, child = cluster.processes()["tool-1"]
        os.kill(supervisor, signal.SIGKILL)
        equal(cluster.status()["tool-1"][0], "gone", "state")
        cluster.up()
        check(not runs(child), "the orphan still runs beside its replacement")
        equal(cluster.status()["tool-1"][0], "running", "state")
        supervisor, child = cluster.processes()["analysis-1"]
        os.kill(supervisor, signal.SIGKILL)
        cluster.good("down")
        check(not runs(child), "the orphan still runs after down")


@case("wrong command lines are refused with a sentence")
def _():
    with Cluster() as cluster:
        for arguments, word in ((["up", "--docs", "/no/such/folder"], "no such folder"),
                                (["up", "--tool", "x"], "number"), (["up", "--nonsense"], "nonsense"),
                                (["logs"], "no logs"), (["restart", "x"], "no cluster"),
                                (["nonsense"], "up")):
            status, output = cluster(*arguments)
            check(status != 0 and word in output, "%s: %d %s" % (arguments, status, output))
        for word in ("help", "--help", "-h"):
            check("--run DIR" in cluster.good(word), "%s does not tell of --run" % word)


if __name__ == "__main__":
    main()
