"""The durable shape of `make bench-peers`: tasks that are on disk before a receipt says so."""
import os
import sys

from bench_client import LONG_RUN_S, run_client
from bench_rounds import run_rounds
from bench_summary import cpu_of, ratios_of, show_spread, spread_of
from rival_servers import Missing, Nats, RabbitMQ, find_client, start_one, stop_all

TASKS = int(os.environ.get("TASKS", "200000"))
WINDOW = int(os.environ.get("WINDOW", "1000"))
SHAPE = ["--payload", os.environ.get("PAYLOAD", "64"), "--window", str(WINDOW), "--workers", "2",
         "--tasks", str(TASKS), "--json"]

# name: (server, its arguments, client, library)
RIVALS = {
    "jetstream": (Nats, {"store": True}, "jetstream", "libnats (libnats-dev)"),
    "jetstream-sync": (Nats, {"store": True, "sync": "always"}, "jetstream", "libnats (libnats-dev)"),
    "rabbitmq": (RabbitMQ, {}, "rabbitmq", "librabbitmq (librabbitmq-dev)"),
}
NAMES = ["sluice", *RIVALS]

PROMISES = {
    "sluice": "synced before the receipt; its outcome is synced, and goes back to who asked",
    "jetstream": "written before the ack, synced later (sync_interval); no answer goes back",
    "jetstream-sync": "synced before each ack (sync_interval: always); no answer goes back",
    "rabbitmq": "confirmed when synced, or when consumed before that; no answer goes back",
}


def measure_sluice(sluice, directory):
    command = [sluice, "bench", "durable", "--directory", directory] + SHAPE
    result = run_client(command + ["--receipts", "0"], LONG_RUN_S)
    receipts = run_client(command, LONG_RUN_S)
    result.update({key: receipts[key] for key in receipts
                   if key.startswith(("receipt", "disk", "fdatasync"))})
    return result


def measure_rival(server):
    return run_client([server.client, "--port", str(server.port), "--server-pid",
                       str(server.pid())] + SHAPE, LONG_RUN_S)


def measure(name, servers, context):
    """One run's JSON object; raises Failed."""
    result = (measure_rival(servers[name]) if name in servers
              else measure_sluice(context.sluice, context.directory))
    return {"shape": "durable", "peer": name, **result, "cpu_s_per_million_all": cpu_of(result)}


def start(directory, names, left_out):
    """The servers that can be started here: {name: server}."""
    servers = {}
    for name in [name for name in RIVALS if name in names]:
        kind, arguments, client, library = RIVALS[name]
        try:
            found = find_client(client, library)
            servers[name] = start_one(directory, name, kind, arguments)
            servers[name].client = found
        except Missing as why:
            left_out[name] = str(why)
            print("left out %s: %s" % (name, why), file=sys.stderr)
        except BaseException:
            stop_all(servers)
            raise
    return servers


def summarize(results):
    """{name: figures}; the ratios are those of each round."""
    ours = results.get("sluice")
    summary = {}
    for name, runs in results.items():
        cpu = [run["cpu_s_per_million_all"] for run in runs]
        summary[name] = {
            "tasks_per_s": spread_of([run["tasks_per_s"] for run in runs]),
            "cpu_s_per_million_all": None if None in cpu else spread_of(cpu),
            "sluice_is": ratios_of(ours, runs, "tasks_per_s") if ours else None,
            "promise": PROMISES[name],
        }
    return summary


def print_summary(summary, runs, where, out):
    print("\ndurable: medians of %d, %d tasks, %s CPUs, on %s" % (runs, TASKS, os.cpu_count(), where),
          file=out)
    print("%-15s %10s %22s   %s" % ("", "tasks/s", "CPU s a million, all", "sluice is"), file=out)
    for name, figures in summary.items():
        cpu = figures["cpu_s_per_million_all"]
        print("%-15s %10.0f %22s   %s" % (
            name, figures["tasks_per_s"]["median"], "?" if cpu is None else "%.2f" % cpu["median"],
            "" if name == "sluice" else show_spread(figures["sluice_is"])), file=out)
    print(file=out)
    for name, figures in summary.items():
        print("%s: %s" % (name, figures["promise"]), file=out)


def run(context):
    """All of it; the summary's JSON object."""
    servers = start(context.directory, context.chosen(NAMES), context.left_out)
    try:
        results, failed = run_rounds(
            ["sluice", *servers], "durable", lambda name: measure(name, servers, context), context)
        context.left_out.update(failed)
        summary = summarize(results)
        print_summary(summary, context.runs, context.where, context.table)
        versions = {name: server.version for name, server in servers.items()}
        return {"summary": "durable", "tasks": TASKS, "window": WINDOW, "peers": summary,
                "versions": versions}
    finally:
        stop_all(servers)
