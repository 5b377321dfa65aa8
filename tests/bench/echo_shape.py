"""The echo shape of `make bench-peers`: a task goes to a worker and its answer back to who asked."""
import collections
import os
import sys

from bench_client import BIN, Failed, run_client
from bench_rounds import run_rounds
from bench_summary import cpu_of, figures_of, ratios_of, show_bytes, show_spread
from rival_servers import (Beanstalkd, Gearmand, Missing, Nats, RabbitMQ, Redis, find_client,
                           start_one, stop_all)

WINDOW = int(os.environ.get("WINDOW", "1000"))
WINDOW_BYTES = 64 * 1024 * 1024  # under way at most: 1 MiB has a smaller window for all
SECONDS = float(os.environ.get("SECONDS", "2"))
TASKS = int(os.environ.get("TASKS", "0"))  # 0: what takes SECONDS
TASKS_MIN, TASKS_MAX = 200, 5000000
CALIBRATE_S = 0.2
PAYLOADS = [int(word) for word in os.environ.get("PAYLOADS", "64 1024 65536 1048576").split()]

# server: a key of SERVERS; None: its program starts its own. client: after "sluice-bench-".
Peer = collections.namedtuple("Peer", "server client library options payload_max limit promise")


def peer(promise, server=None, client=None, library="", options=(), payload_max=None, limit=""):
    return Peer(server, client, library, list(options), payload_max, limit, promise)


SERVERS = {"nats": Nats, "redis": Redis, "rabbitmq": RabbitMQ, "gearmand": Gearmand,
           "beanstalkd": Beanstalkd}
NATS = {"server": "nats", "client": "echo-nats", "library": "libnats (libnats-dev)",
        "payload_max": 8 * 1024 * 1024, "limit": "max_payload is 8 MiB at most"}
REDIS = {"server": "redis", "client": "echo-redis", "library": "hiredis (libhiredis-dev)"}

PEERS = {
    "sluice": peer("each task has one outcome, also when workers or connections die; bounds, "
                   "deadlines, cancelling, fairness"),
    "zmq_proxy": peer("none: what a worker has when it dies is gone, nothing is bounded",
                      client="proxy"),
    "zmq_router": peer("none, and no workers: a ROUTER sends back what it gets", client="proxy",
                       options=["--workers", "0"]),
    "nats": peer("at most once: what a worker has when it dies is gone. libnats' own threads",
                 **NATS),
    "nats-loop": peer("the same, libnats with an event loop in one thread", options=["--loop"],
                      **NATS),
    "redis-list": peer("at most once: what was popped is gone when a worker dies; memory is the "
                       "bound", **REDIS),
    "redis-stream": peer("at least once if somebody claims what a dead worker has; trimmed to "
                         "about a window", options=["--streams"], **REDIS),
    "rabbitmq": peer("at least once to workers (prefetch, acks), not on disk, not confirmed; "
                     "replies at most once", server="rabbitmq", client="echo-rabbitmq",
                     library="librabbitmq (librabbitmq-dev)"),
    "gearmand": peer("given to another worker when one dies; a client that is gone loses its "
                     "answers; in memory", server="gearmand", client="echo-gearman",
                     library="libgearman (libgearman-dev)", payload_max=128 * 1024,
                     limit="from 256 KiB on a message takes 0.2 s and more"),
    "beanstalkd": peer("at least once (time to run, deletes), both ways; without its log",
                       server="beanstalkd", client="echo-beanstalk"),
}
NAMES = list(PEERS)


Workload = collections.namedtuple("Workload", "payload window workers")


def workloads(payloads):
    """One task at a time, by one worker; then a full window of each payload, by two."""
    windows = [max(1, min(WINDOW, WINDOW_BYTES // payload)) for payload in payloads]
    return [Workload(64, 1, 1)] + [Workload(payload, window, 2)
                                   for payload, window in zip(payloads, windows)]


def title_of(workload):
    return "%s, window %d, %d worker%s" % (show_bytes(workload.payload), workload.window,
                                           workload.workers, "s" * (workload.workers > 1))


def command_of(name, sluice, servers):
    what = PEERS[name]
    if name == "sluice":
        return [sluice, "bench", "echo"]
    command = [os.path.join(BIN, "sluice-bench-" + what.client)]
    if what.server:
        server = servers[what.server]
        command += ["--port", str(server.port), "--server-pid", str(server.pid())]
    return command


def shape_of(name, workload, tasks):
    """Options; the peer's own come last and win."""
    return ["--payload", str(workload.payload), "--window", str(workload.window), "--workers",
            str(workload.workers), "--tasks", str(tasks), "--json", *PEERS[name].options]


def measure(name, command, workload, tasks):
    """One run's JSON object; raises Failed."""
    result = {"shape": "echo", "peer": name, **run_client(command + shape_of(name, workload, tasks))}
    result["cpu_s_per_million_all"] = cpu_of(result)
    return result


def tasks_of(rate, window):
    """How many take about SECONDS, a full window at least; two digits, for people."""
    count = max(window, min(TASKS_MAX, int(rate * SECONDS)), TASKS_MIN)
    step = 10 ** max(0, len(str(count)) - 2)
    return -(-count // step) * step


def calibrate(name, command, workload):
    """Unmeasured: how many tasks."""
    if TASKS:
        return TASKS
    tasks = 4 * workload.window if workload.window > 1 else 1000
    said = measure(name, command, workload, tasks)
    if said["wall_s"] < CALIBRATE_S:  # that was how it starts, not how it goes on
        tasks = min(TASKS_MAX, tasks * 10)
        said = measure(name, command, workload, tasks)
    return tasks_of(said["tasks_per_s"], workload.window)


def start(directory, shape, names, left_out):
    """The servers of these peers that can be started here, each for this shape alone."""
    servers = {}
    try:
        for name in names:
            what = PEERS[name]
            try:
                if what.client:
                    find_client(what.client, what.library)
                if what.server and what.server not in servers:
                    servers[what.server] = start_one(directory, shape + "-" + what.server,
                                                     SERVERS[what.server], {})
            except Missing as why:
                left_out[name] = str(why)
                print("left out %s: %s" % (name, why), file=sys.stderr)
    except BaseException:
        stop_all(servers)
        raise
    return servers


def too_large(name, workload):
    limit = PEERS[name].payload_max
    return limit is not None and workload.payload > limit


def prepare(names, workload, commands, context):
    """({name: tasks} of those that take part, {name: why} of the others)."""
    tasks, absent = {}, {}
    for name in names:
        if too_large(name, workload):
            absent[name] = PEERS[name].limit
            continue
        try:
            tasks[name] = calibrate(name, commands[name], workload)
        except Failed as why:
            context.fail(name, why)
            absent[name] = "failed"
    return tasks, absent


def run_workload(workload, commands, context):
    """({name: runs}, {name: why not})."""
    tasks, absent = prepare(list(commands), workload, commands, context)
    results, failed = run_rounds(
        tasks, title_of(workload),
        lambda name: measure(name, commands[name], workload, tasks[name]), context)
    return results, {**absent, **failed}


FIGURES = ("tasks_per_s", "p50_us", "p99_us", "p999_us", "cpu_s_per_million_all")


def summarize(workload, results, absent):
    """Of one workload: figures of each peer, and how many times as fast sluice is. One task at a
    time that is p50 divided by p50: below 1 it takes less time."""
    ours = results.get("sluice")
    key = "p50_us" if workload.window == 1 else "tasks_per_s"
    peers = {}
    for name, runs in results.items():
        peers[name] = {"tasks": runs[0]["tasks"], **figures_of(runs, FIGURES)}
        peers[name]["sluice_is"] = ratios_of(ours, runs, key) if ours else None
    return {**workload._asdict(), "ratio_of": key, "peers": peers, "left_out": absent}


def show_median(figures, key, form):
    return "?" if figures[key] is None else form % figures[key]["median"]


def print_summary(summary, out):
    workload = Workload(summary["payload"], summary["window"], summary["workers"])
    latency = summary["ratio_of"] == "p50_us"
    print("\necho of %s" % title_of(workload), file=out)
    print("%-13s %10s %9s %9s %9s  %-24s %s" % (
        "", "tasks/s", "p50 us", "p99 us", "CPU s/M", "p50 of sluice is" if latency else "sluice is",
        "it promises"), file=out)
    for name, figures in summary["peers"].items():
        print("%-13s %10s %9s %9s %9s  %-24s %s" % (
            name, show_median(figures, "tasks_per_s", "%.0f"), show_median(figures, "p50_us", "%.0f"),
            show_median(figures, "p99_us", "%.0f"), show_median(figures, "cpu_s_per_million_all", "%.2f"),
            "" if name == "sluice" else show_spread(figures["sluice_is"]), PEERS[name].promise),
            file=out)
    for name, why in summary["left_out"].items():
        print("%-13s left out: %s" % (name, why), file=out)


def run(context):
    """All of it; the summary's JSON object."""
    names = context.chosen(NAMES)
    servers = start(context.directory, "echo", names, context.left_out)
    try:
        commands = {name: command_of(name, context.sluice, servers) for name in names
                    if name not in context.left_out}
        print("\necho: medians of %d rounds, every reply checked, %s CPUs" % (
            context.runs, os.cpu_count()), file=context.table)
        summaries = []
        for workload in workloads(PAYLOADS):
            summaries.append(summarize(workload, *run_workload(workload, commands, context)))
            print_summary(summaries[-1], context.table)
        versions = {name: server.version for name, server in servers.items()}
        return {"summary": "echo", "workloads": summaries, "versions": versions,
                "promises": {name: PEERS[name].promise for name in commands}}
    finally:
        stop_all(servers)
