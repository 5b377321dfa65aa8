"""The open shape of `make bench-peers`: how long a task takes while as many come as NATS can do
half of, whatever becomes of those before them."""
import os
import statistics
import sys

import echo_shape
from bench_client import run_client
from bench_rounds import run_rounds
from bench_summary import cpu_of, figures_of, ratios_of, show_bytes, show_spread
from rival_servers import stop_all

RATE = int(os.environ.get("RATE", "0"))  # 0: half of a peak
DURATION_MS = max(1, int(float(os.environ.get("SECONDS", "2")) * 1000))
WORKLOAD = echo_shape.Workload(int(os.environ.get("PAYLOAD", "64")), echo_shape.WINDOW, 2)
NAMES = ["sluice", "nats", "nats-loop", "zmq_proxy"]
# Whose peak is halved: the best of the first of these that are here at all.
YARDSTICKS = [("nats", "nats-loop"), ("zmq_proxy",), ("sluice",)]

FIGURES = ("p50_us", "p90_us", "p99_us", "p999_us", "max_us", "late_percent", "tasks_per_s",
           "cpu_s_per_million_all")


def fastest(results):
    """(name, its tasks a second): whose median is the highest; None: there are no runs."""
    peaks = {name: statistics.median([run["tasks_per_s"] for run in runs])
             for name, runs in results.items() if runs}
    return max(peaks.items(), key=lambda peak: peak[1]) if peaks else None


def run_closed(names, commands, context):
    """Rounds of the echo shape with a full window: {name: runs}."""
    tasks, absent = echo_shape.prepare(names, WORKLOAD, commands, context)

    results, failed = run_rounds(
        tasks, "peak",
        lambda name: {**echo_shape.measure(name, commands[name], WORKLOAD, tasks[name]),
                      "shape": "open", "loop": "closed"}, context)
    context.left_out.update({**absent, **failed})
    return results


def find_peak(commands, context):
    """(name, tasks a second). Who failed is left out."""
    for group in YARDSTICKS:
        names = [name for name in group if name in commands]
        peak = fastest(run_closed(names, commands, context))
        if peak:
            return peak
    sys.exit("open: nobody's peak could be measured")


def shape_of(name, rate):
    """Options; the peer's own come last and win."""
    length = (["--duration", "%dms" % DURATION_MS] if name == "sluice"
              else ["--tasks", str(max(1, rate * DURATION_MS // 1000))])
    return ["--rate", str(rate), *length, "--payload", str(WORKLOAD.payload), "--window",
            str(WORKLOAD.window), "--workers", str(WORKLOAD.workers), "--json",
            *echo_shape.PEERS[name].options]


def read_run(name, said):
    """A run's JSON object. `bench load` has a list of loads, here of one; others have that alone."""
    loads = said.get("loads", [{}])
    result = {"shape": "open", "peer": name, **said, **loads[0], "loop": "open"}
    result.pop("loads", None)
    result["cpu_s_per_million_all"] = cpu_of(result)
    result["late_percent"] = 100 * result["late"] / result["tasks"]
    return result


def run_open(rate, commands, context):
    """{name: runs}."""
    commands = {**commands, "sluice": [context.sluice, "bench", "load"]}
    names = [name for name in commands if name not in context.left_out]
    results, failed = run_rounds(
        names, "open loop, %d tasks/s" % rate,
        lambda name: read_run(name, run_client(commands[name] + shape_of(name, rate))), context)
    context.left_out.update(failed)
    return results


def summarize(results):
    """{name: figures}; the ratio is that of p99: below 1 sluice takes less time."""
    ours = results.get("sluice")
    peers = {}
    for name, runs in results.items():
        peers[name] = {"tasks": runs[0]["tasks"], **figures_of(runs, FIGURES)}
        peers[name]["sluice_is"] = ratios_of(ours, runs, "p99_us") if ours else None
    return peers


def title_of(summary):
    peak = summary["peak"]
    whose = "half of what %s can do" % peak["peer"] if peak else "as RATE says"
    return "open loop, %d tasks/s (%s), %s, %d workers" % (
        summary["rate"], whose, show_bytes(summary["payload"]), summary["workers"])


def print_summary(summary, context):
    out = context.table
    print("\n%s: medians of %d rounds, every reply checked, %s CPUs" % (
        title_of(summary), context.runs, os.cpu_count()), file=out)
    print("%-13s %9s %9s %19s %9s %8s %9s  %s" % (
        "", "p50 us", "p99 us", "(min to max)", "p99.9 us", "late %", "CPU s/M",
        "p99 of sluice is"), file=out)
    for name, figures in summary["peers"].items():
        print("%-13s %9s %9s %19s %9s %8s %9s  %s" % (
            name, echo_shape.show_median(figures, "p50_us", "%.0f"),
            echo_shape.show_median(figures, "p99_us", "%.0f"),
            "(%.0f to %.0f)" % (figures["p99_us"]["min"], figures["p99_us"]["max"]),
            echo_shape.show_median(figures, "p999_us", "%.0f"),
            echo_shape.show_median(figures, "late_percent", "%.2f"),
            echo_shape.show_median(figures, "cpu_s_per_million_all", "%.2f"),
            "" if name == "sluice" else show_spread(figures["sluice_is"])), file=out)
    for name, why in context.left_out.items():
        print("%-13s left out: %s" % (name, why), file=out)


def measure_all(commands, context):
    """The summary's JSON object, but for what the servers are."""
    peak = None if RATE else find_peak(commands, context)
    rate = RATE or max(1, int(peak[1] / 2))
    return {"summary": "open", **WORKLOAD._asdict(), "rate": rate, "duration_ms": DURATION_MS,
            "peak": {"peer": peak[0], "tasks_per_s": peak[1]} if peak else None,
            "ratio_of": "p99_us", "peers": summarize(run_open(rate, commands, context))}


def run(context):
    """All of it; the summary's JSON object."""
    names = context.chosen(NAMES)
    servers = echo_shape.start(context.directory, "open", names, context.left_out)
    try:
        commands = {name: echo_shape.command_of(name, context.sluice, servers) for name in names
                    if name not in context.left_out}
        summary = measure_all(commands, context)
        print_summary(summary, context)
        return {**summary, "versions": {name: server.version for name, server in servers.items()}}
    finally:
        stop_all(servers)
