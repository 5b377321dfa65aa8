#!/usr/bin/python3
"""tests/bench/peers: its arithmetic, what it leaves out, and that it runs, counts and reports.

None of the other brokers has to be here: what runs is sluice and the zmq_proxy floor."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
for variable in ("SECONDS", "WINDOW", "TASKS", "PAYLOAD", "PAYLOADS", "RATE", "PEERS", "RUNS", "JSON"):
    os.environ.pop(variable, None)  # what they are without is what is tested
TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(TESTS, "lib"))
sys.path.insert(0, os.path.join(TESTS, "bench"))
from sluice_test import ROOT, SLOW, Reports, case, check, equal, main, program, wait_gone
import bench_summary
import durable_shape
import echo_shape
import open_shape

PEERS = os.path.join(ROOT, "tests/bench/peers")
TINY_OPEN = {"SHAPE": "open", "RUNS": "2", "TASKS": "200", "WINDOW": "20", "SECONDS": "0.1"}
TINY = {"SHAPE": "echo", "RUNS": "2", "TASKS": "200", "WINDOW": "20", "PAYLOADS": "64 2048"}


def peers(directory, *arguments, **env):
    return subprocess.run(["/usr/bin/python3", PEERS, *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=120 * SLOW, env={**os.environ, "DIRECTORY": directory, **env})


def in_directory(fn):
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as directory:
        fn(directory)


@case("a ratio is that of two runs of one round, not of two medians")
def _():
    ours = [{"rate": 100}, {"rate": 10}, {"rate": 40}]
    theirs = [{"rate": 50}, {"rate": 20}, {"rate": 10}]
    equal(bench_summary.ratios_of(ours, theirs, "rate"), {"median": 2, "min": 0.5, "max": 4})
    equal(bench_summary.ratios_of(ours, [{"rate": 0}] * 3, "rate"), None, "ratio to nothing")
    equal(bench_summary.ratios_of(ours[:1], theirs, "rate"), None, "rounds that one of them lacks")
    equal(bench_summary.show_spread({"median": 2, "min": 0.5, "max": 4}), "2.00x (0.50 to 4.00)")


@case("a payload's window is 64 MiB at most; one at a time comes first")
def _():
    shapes = echo_shape.workloads([64, 65536, 1048576])
    equal([(w.payload, w.window, w.workers) for w in shapes],
          [(64, 1, 1), (64, 1000, 2), (65536, 1000, 2), (1048576, 64, 2)])


@case("a run is as long as it is to be, with a full window, and bounded")
def _():
    equal(echo_shape.tasks_of(123456, 1000), 250000, "two seconds")
    equal(echo_shape.tasks_of(1, 1000), 1000, "a window")
    equal(echo_shape.tasks_of(1e12, 1000), echo_shape.TASKS_MAX, "bound")


@case("a summary: throughput is ours by theirs, and so is p50 of one at a time")
def _():
    def run(rate, p50_us, cpu):
        return {"tasks": 5, "tasks_per_s": rate, "p50_us": p50_us, "p99_us": 9, "p999_us": 9,
                "cpu_s_per_million_all": cpu}

    results = {"sluice": [run(300, 10, 1.0)], "nats": [run(100, 40, None)]}
    full = echo_shape.summarize(echo_shape.Workload(64, 1000, 2), results, {"gearmand": "why"})
    equal(full["peers"]["nats"]["sluice_is"]["median"], 3)
    equal(full["peers"]["nats"]["cpu_s_per_million_all"], None, "CPU time of what is not ours")
    equal(full["left_out"], {"gearmand": "why"})
    one = echo_shape.summarize(echo_shape.Workload(64, 1, 1), results, {})
    equal(one["peers"]["nats"]["sluice_is"]["median"], 0.25)


@case("an open loop: half of the better one's median, and p99 is ours by theirs")
def _():
    def run(p99_us, late, cpu=1.0):
        said = {"tasks": 200, "tasks_per_s": 99, "p50_us": 1, "p90_us": 2, "p99_us": p99_us,
                "p999_us": 5, "max_us": 6, "late": late, "cpu_s_per_million": {"broker": cpu}}
        return said

    peaks = {"nats": [{"tasks_per_s": rate} for rate in (10, 90, 20)],
             "nats-loop": [{"tasks_per_s": rate} for rate in (30, 40, 35)]}
    equal(open_shape.fastest(peaks), ("nats-loop", 35))
    equal(open_shape.fastest({"nats": []}), None, "nobody's peak")
    ours = [open_shape.read_run("sluice", {"bench": "load", "loads": [run(p99, 5)]})
            for p99 in (30, 10)]
    theirs = [open_shape.read_run("nats", run(20, 0, None)) for _ in range(2)]
    equal((ours[0]["p99_us"], ours[0]["late_percent"], "loads" in ours[0]), (30, 2.5, False))
    figures = open_shape.summarize({"sluice": ours, "nats": theirs})
    equal(figures["nats"]["sluice_is"], {"median": 1.0, "min": 0.5, "max": 1.5})
    equal(figures["nats"]["cpu_s_per_million_all"], None, "CPU time of what is not ours")
    equal(open_shape.summarize({"nats": theirs})["nats"]["sluice_is"], None, "without sluice")


@case("an open loop: as many tasks for all, at the same rate")
def _():
    def value_of(options, name):
        return options[options.index(name) + 1]

    ours, theirs = (open_shape.shape_of(name, 1500) for name in ("sluice", "nats-loop"))
    equal((value_of(ours, "--rate"), value_of(ours, "--duration")), ("1500", "2000ms"))
    equal((value_of(theirs, "--rate"), value_of(theirs, "--tasks")), ("1500", "3000"))
    equal(theirs[-1], "--loop")


@case("durable: CPU time is of the measured tasks; who failed in the first round has no ratio")
def _():
    def run(rate, cpu):
        return {"tasks_per_s": rate, "cpu_s_per_million_all": cpu}

    summary = durable_shape.summarize({"sluice": [run(300, 1.0), run(500, 3.0)],
                                       "rabbitmq": [run(100, None), run(100, 2.0)]})
    equal(summary["rabbitmq"]["sluice_is"], {"median": 4, "min": 3, "max": 5})
    equal((summary["sluice"]["cpu_s_per_million_all"]["median"],
           summary["rabbitmq"]["cpu_s_per_million_all"]), (2, None))


@case("durable tasks run, with the receipts of a run of their own")
def _():
    def go(directory):
        runs, summary, done = measured(directory, SHAPE="durable", PEERS="sluice", TASKS="300",
                                       WINDOW="20", RUNS="1")
        equal([(run["peer"], run["round"], run["tasks"], run["good"]) for run in runs],
              [("sluice", 1, 300, True)])
        check(0 < runs[0]["receipt_p50_us"] <= runs[0]["receipt_p99_us"], runs[0])
        check(runs[0]["cpu_s_per_million_all"] > 0, runs[0])
        equal((summary["summary"], list(summary["peers"])), ("durable", ["sluice"]))
        check("synced before the receipt" in done.stdout, done.stdout)
        equal(os.listdir(directory), [], "what is left")
    in_directory(go)


def measured(directory, status=0, **env):
    """The runs, their summary, and the process, which has ended and left nothing."""
    path = os.path.join(directory, "out.json")
    done = peers(directory, "--json", path, **env)
    equal(done.returncode, status, "status of\n" + done.stderr)
    with open(path) as file:
        lines = [json.loads(line) for line in file]
    os.remove(path)
    return lines[:-1], lines[-1], done


@case("it alternates, checks, counts and reports, and leaves nothing behind")
def _():
    def go(directory):
        runs, summary, done = measured(directory, PEERS="zmq_proxy zmq_router", **TINY)
        equal(len(runs), 3 * 2 * 3, "workloads x rounds x peers")
        equal([run["peer"] for run in runs[:6]], ["sluice", "zmq_proxy", "zmq_router",
                                                  "zmq_proxy", "zmq_router", "sluice"])
        check(all(run["lost"] == 0 and run["tasks"] == 200 for run in runs), "tasks: %s" % runs)
        equal((summary["summary"], summary["runs"], len(summary["workloads"])), ("echo", 2, 3))
        equal(sorted(summary["workloads"][2]["peers"]), ["sluice", "zmq_proxy", "zmq_router"])
        check("2 KiB, window 20" in done.stdout and "it promises" in done.stdout, done.stdout)
        equal(os.listdir(directory), [], "what is left")
    in_directory(go)


@case("an open loop runs without NATS: half of what zmq_proxy can do")
def _():
    def go(directory):
        runs, summary, done = measured(directory, PEERS="zmq_proxy", **TINY_OPEN)
        equal([(run["peer"], run["loop"]) for run in runs],
              [("zmq_proxy", "closed")] * 2 + [("sluice", "open"), ("zmq_proxy", "open"),
                                               ("zmq_proxy", "open"), ("sluice", "open")])
        equal(summary["peak"]["peer"], "zmq_proxy")
        equal(summary["rate"], int(summary["peak"]["tasks_per_s"] / 2))
        tasks = max(1, summary["rate"] // 10)
        for run in runs[2:]:
            equal((run["rate"], run["tasks"], run["lost"]), (summary["rate"], tasks, 0), str(run))
            check(0 < run["p50_us"] <= run["p90_us"] <= run["p99_us"] <= run["max_us"], str(run))
        check(summary["peers"]["zmq_proxy"]["sluice_is"]["median"] > 0, summary)
        check("half of what zmq_proxy can do" in done.stdout, done.stdout)
        equal(os.listdir(directory), [], "what is left")
    in_directory(go)


@case("an open loop at a rate that is given looks for no peak")
def _():
    def go(directory):
        runs, summary, _done = measured(directory, PEERS="sluice", RATE="500", **TINY_OPEN)
        equal([(run["peer"], run["loop"], run["tasks"]) for run in runs],
              [("sluice", "open", 50)] * 2)
        equal((summary["peak"], summary["rate"]), (None, 500))
    in_directory(go)


def open_floor(rate, tasks):
    done = subprocess.run([program("sluice-bench-proxy"), "--rate", str(rate), "--tasks", str(tasks),
                           "--json"], stdout=subprocess.PIPE, text=True, timeout=120 * SLOW)
    equal(done.returncode, 0, "status")
    said = json.loads(done.stdout)
    equal((said["rate"], said["lost"], said["duplicated"]), (rate, 0, 0), str(said))
    return said


@case("an open loop sends at its times; what it cannot send then is late, and waits in its latency")
def _():
    check(open_floor(1000, 100)["wall_s"] >= 0.099, "a hundred tasks, one a millisecond")
    said = open_floor(10000000, 50000)  # all due within 5 ms, more than may be under way
    check(said["late"] > 0, "late: %s" % said)
    check(said["max_us"] >= 0.98 * (said["wall_s"] * 1e6 - 5000), "from when it was due: %s" % said)


@case("what is not installed is left out, and it says why")
def _():
    def go(directory):
        bare = os.path.join(directory, "bin")
        os.mkdir(bare)
        for name in ("sluice", "sluice-broker", "sluice-bench-proxy"):
            os.symlink(program(name), os.path.join(bare, name))
        runs, summary, _done = measured(directory, BUILD=directory, PATH=bare,
                                        PEERS="redis-list beanstalkd", **{**TINY, "RUNS": "1"})
        equal({run["peer"] for run in runs}, {"sluice"})
        equal(sorted(summary["left_out"]), ["beanstalkd", "redis-list"])
        check("deploy/deps.sh bench" in summary["left_out"]["redis-list"], summary["left_out"])
    in_directory(go)


@case("a peer that fails is left out from there on, and the status says so")
def _():
    def go(directory):
        bare = os.path.join(directory, "bin")
        os.mkdir(bare)
        for name in ("sluice", "sluice-broker"):
            os.symlink(program(name), os.path.join(bare, name))
        os.symlink(shutil.which("false"), os.path.join(bare, "sluice-bench-proxy"))
        _runs, summary, done = measured(directory, 1, BUILD=directory, PEERS="zmq_proxy",
                                        **{**TINY, "TASKS": "20", "RUNS": "1"})
        check("zmq_proxy" in done.stderr and "status 1" in done.stderr, done.stderr)
        equal(summary["workloads"][0]["left_out"], {"zmq_proxy": "failed"})
    in_directory(go)


@case("a name that is no peer's is refused, and so is a shape")
def _():
    for env in ({"PEERS": "kafka"}, {"SHAPE": "square"}):
        done = peers(ROOT, **env)
        equal(done.returncode, 2, "status with %s" % env)
        check("there are" in done.stderr or "SHAPE is" in done.stderr, done.stderr)


@case("what ends it ends its processes, and removes its directory")
def _():
    def go(directory):
        reporter, work = os.path.join(directory, "sluice"), os.path.join(directory, "work")
        os.mkdir(work)
        with open(reporter, "w") as file:
            file.write("#!/bin/sh\necho $$ > %s/pids\nexec %s \"$@\"\n" % (directory, program("sluice")))
        os.chmod(reporter, 0o755)
        with Reports(os.path.join(directory, "pids")) as begun:
            run = subprocess.Popen(["/usr/bin/python3", PEERS], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env={**os.environ, **TINY, "DIRECTORY": work, "TASKS": "100000000",
                                        "PEERS": "sluice", "SLUICE": reporter})
            client = int(begun.read(1, 60)[0])
        run.send_signal(signal.SIGTERM)
        equal(run.wait(60 * SLOW), 143, "status")
        wait_gone([client])
        equal(os.listdir(work), [], "what is left")
    in_directory(go)


main()
