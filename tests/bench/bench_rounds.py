"""Runs of several peers in turn, for the shapes of `make bench-peers`."""
import sys

from bench_client import Failed


def run_rounds(names, title, measure, context):
    """({name: runs}, {name: why not}). Rounds begin with another peer each. `measure` takes a name
    and returns a run's JSON object; who raises Failed is left out from there on."""
    results, absent = {name: [] for name in names}, {}
    for number in range(context.runs):
        order = list(results)
        turn = number % len(order) if order else 0
        for name in order[turn:] + order[:turn]:
            print("  %s: round %d, %s" % (title, number + 1, name), file=sys.stderr, flush=True)
            try:
                result = measure(name)
            except Failed as why:
                context.fail(name, why)
                absent[name] = "failed"
                del results[name]
                continue
            result["round"] = number + 1
            context.tell(result)
            results[name].append(result)
    return results, absent
