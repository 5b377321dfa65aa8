"""The arithmetic of the benchmarks: medians, and ratios of runs of the same round."""
import statistics


def median_of(results, *path):
    """Of what stands at `path` in each: median_of(results, "cpu_s_per_million", "broker"). NaN:
    one of them does not know."""
    values = []
    for value in results:
        for name in path:
            value = value[name]
        values.append(value)
    return statistics.median(values) if None not in values else float("nan")


def cpu_of(result):
    """CPU seconds for a million tasks, of all processes; None: not known of one."""
    parts = result["cpu_s_per_million"].values()
    return None if None in parts else round(sum(parts), 3)


def spread_of(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratios_of(ours, theirs, key):
    """Ours divided by theirs in each round: what happened to one happened to the other. None: they
    have a zero, or no run of the same round."""
    ratios = [our[key] / their[key] for our, their in zip(ours, theirs) if their[key]]
    return spread_of(ratios) if ratios and len(ratios) == len(theirs) else None


def figures_of(runs, names):
    """The spread of each figure; None: one of the runs does not know it."""
    figures = {}
    for name in names:
        values = [run[name] for run in runs]
        figures[name] = None if None in values else spread_of(values)
    return figures


def show_spread(spread):
    return "?" if spread is None else "%.2fx (%.2f to %.2f)" % (
        spread["median"], spread["min"], spread["max"])


def show_bytes(count):
    for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size and count % size == 0:
            return "%d %s" % (count // size, unit)
    return "%d B" % count
