"""The director of a chaos run: starts a real cluster, does harm to it, and sees it to its end.

A run is a list of faults, spread evenly over the tasks: the n-th one strikes when so many tasks have
ended. Submitters get leave for a little more than that, so every fault strikes with tasks under way,
however fast the machine is. What is chosen (the order, the victims, the numbers) follows from the
seed, with a random stream for each kind of fault: fewer of one kind does not reshuffle another.
What the processes make of it is real time, and differs from run to run.

    submitter 0, 2 ---------------------------+
    submitter 1, 3 ---- fault_proxy ----+     |
                                        +-- broker
    worker 1, 3, 5 ---- fault_proxy ----+     |
    worker 0, 2, 4 ---------------------------+
"""
import glob
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import (BUILD, SLOW, Deadline, Failure, Peer, Process,  # noqa: E402
                         check, equal, free_port, log_field, program)

SUBMITTERS, WORKERS = 4, 6
UNDER_WAY = 100      # jobs that a submitter has leave for beyond the next fault
SILENCE_MS = 3000
RESUME_MS = 3000
STALL_S = 60         # no task ends for so long: the run has failed
FAKETIME = "/usr/lib/*/faketime/libfaketime.so.1"

# Limits of the broker, of which each run draws its own: what is refused for now is tried again.
LIMITS = {"--window-tasks": (32768, 200, 40), "--service-max-tasks": (16384, 100, 10),
          "--window-bytes": (1 << 28, 100000), "--max-payload": (65536,)}

# How many faults of each kind for 200 killed workers and 50 killed brokers.
SHARES = dict(stop_worker=20, stop_submitter=4, stop_broker=4, reset=40, half_open=8, cut=8,
              storm=10, delay=20, rate=10, trickle=10, pause=10, starve=4, jump=10)


def now_ms():
    return time.monotonic_ns() // 1000000


def chaos_program(name):
    return os.path.join(BUILD, "tests", "chaos", name)


def find_faketime():
    """libfaketime, to jump the wall clock; None: not installed, or in the way of a sanitizer."""
    found = glob.glob(FAKETIME)
    with open(chaos_program("chaos_worker"), "rb") as file:
        return found[0] if found and b"__asan_init" not in file.read() else None


class Child(Process):
    """A process that reads commands, tells `on_line` what it prints, and dies with us."""

    def __init__(self, command, environment, on_line=None, on_end=None):
        self.command, self.lines, self.changed = command, [], threading.Condition()
        self.on_line, self.on_end = on_line, on_end
        self.child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, env=environment)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for raw in self.child.stdout:
            line = raw.decode(errors="replace").rstrip("\n")
            with self.changed:
                self.lines.append(line)
                self.changed.notify_all()
            if self.on_line:
                self.on_line(line)
        with self.changed:
            self.changed.notify_all()
        if self.on_end:
            self.on_end()

    def tell(self, line):
        try:
            self.child.stdin.write(line.encode() + b"\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            raise Failure("%s has ended; it said:\n%s" % (self.command[0], self.output())) from None

    def bury(self):
        """kill -9, collect it, close what was open."""
        self.kill()
        for pipe in (self.child.stdin, self.child.stdout):
            try:
                pipe.close()
            except BrokenPipeError:
                pass


class Proxy(Child):
    """A fault_proxy, and which of its connections are open, oldest first."""

    def __init__(self, port):
        self.open = []
        Child.__init__(self, [chaos_program("fault_proxy"), str(port)], dict(os.environ),
                       self.note)
        self.port = int(self.wait_line("listening").split()[1])

    def note(self, line):
        verb, _, number = line.partition(" ")
        with self.changed:
            if verb == "open":
                self.open.append(int(number))
            elif verb == "closed":
                self.open.remove(int(number))

    def youngest(self, count):
        with self.changed:
            return self.open[-count:]


class Cluster:
    """The processes of a run, all of them ours: leaving the block kills what is left, by pid."""

    def __init__(self, directory, seed, jobs):
        self.directory, self.seed = directory, seed
        self.changed = threading.Condition()
        self.finished = [0] * SUBMITTERS
        self.allowed = [0] * SUBMITTERS
        self.jobs = [jobs // SUBMITTERS + (i < jobs % SUBMITTERS) for i in range(SUBMITTERS)]
        self.workers, self.submitters = [None] * WORKERS, [None] * SUBMITTERS
        self.broker, self.proxies = None, []  # before the workers, before the submitters
        self.port = free_port()
        rng = random.Random("%d-limits" % seed)
        self.limits = [word for option, values in LIMITS.items()
                       for word in (option, str(rng.choice(values)))]
        print("# broker: %s" % " ".join(self.limits), flush=True)
        self.faketime = find_faketime()
        self.clock_path = os.path.join(directory, "clock")
        self.environment = dict(os.environ)
        if self.faketime:
            self.set_clock(0)
            self.environment.update(
                LD_PRELOAD=self.faketime, FAKETIME_TIMESTAMP_FILE=self.clock_path,
                FAKETIME_DONT_FAKE_MONOTONIC="1", FAKETIME_CACHE_DURATION="1",
                FAKETIME_DISABLE_SHM="1")

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for child in [*self.workers, *self.submitters, *self.proxies, self.broker]:
            if child:
                child.bury()

    def start(self):
        self.start_broker()
        self.proxies.append(Proxy(self.port))
        self.proxies.append(Proxy(self.port))
        for slot in range(WORKERS):
            self.start_worker(slot)
        for slot in range(SUBMITTERS):
            self.start_submitter(slot)

    # ---- processes

    def start_broker(self):
        self.broker = Child(
            [program("sluice-broker"), "--endpoint", "tcp://127.0.0.1:%d" % self.port,
             "--silence-ms", str(int(SILENCE_MS * SLOW)), "--resume-ms", str(int(RESUME_MS * SLOW)),
             "--ping-ms", "500", "--probe-ms", "200", "--cancel-grace-ms", "2000",
             "--log-level", "warn", *self.limits], self.environment)

    def endpoint(self, slot, proxy):
        return "tcp://127.0.0.1:%d" % (proxy.port if slot % 2 else self.port)

    def start_worker(self, slot):
        self.workers[slot] = Child(
            [chaos_program("chaos_worker"), self.endpoint(slot, self.proxies[0]), "worker-%d" % slot,
             os.path.join(self.directory, "worker-%d.history" % slot)],
            self.environment, on_end=self.notify)

    def start_submitter(self, slot):
        def on_line(line):
            if line.startswith("finished "):
                with self.changed:
                    self.finished[slot] = int(line.split()[1])
                    self.changed.notify_all()

        name = "submitter-%d" % slot
        self.submitters[slot] = Child(
            [chaos_program("chaos_submitter"), self.endpoint(slot, self.proxies[1]), name,
             str(self.seed), str(self.jobs[slot]), os.path.join(self.directory, name + ".history")],
            self.environment, on_line, self.notify)

    def notify(self):
        with self.changed:
            self.changed.notify_all()

    def set_clock(self, offset_s):
        fresh = self.clock_path + ".new"
        with open(fresh, "w") as file:
            file.write("%+d\n" % offset_s)
        os.rename(fresh, self.clock_path)

    # ---- progress

    def ended(self):
        with self.changed:
            return sum(self.finished)

    def allow(self, ended):
        """Lets submitters begin what is needed for so many jobs to end, and a little more."""
        for slot, submitter in enumerate(self.submitters):
            goal = min(self.jobs[slot], ended // SUBMITTERS + UNDER_WAY)
            if goal > self.allowed[slot]:
                submitter.tell("go %d" % (goal - self.allowed[slot]))
                self.allowed[slot] = goal

    def tend(self):
        """Starts again workers that crashed, as a supervisor would; says what must not end."""
        check(self.broker.running(), "the broker ended by itself:\n" + self.broker.output())
        for proxy in self.proxies:
            check(proxy.running(), "a proxy ended by itself:\n" + proxy.output())
        crashed = 0
        for slot, worker in enumerate(self.workers):
            if not worker.running():
                equal(worker.child.returncode, 70, "exit status of a worker that said:\n%s\n" %
                      worker.output())
                worker.bury()
                self.start_worker(slot)
                crashed += 1
        for slot, submitter in enumerate(self.submitters):
            running = submitter.running()
            if not running:
                submitter.reader.join(10)  # its last lines count
            check(running or self.finished[slot] == self.jobs[slot],
                  "a submitter ended by itself:\n" + submitter.output())
        return crashed

    def stats(self):
        with Peer("tcp://127.0.0.1:%d" % self.port, "director") as peer:
            return peer.query("stats")


class Director:
    def __init__(self, cluster, kills):
        self.cluster = cluster
        self.log = open(os.path.join(cluster.directory, "director.history"), "w")
        self.streams = {}
        self.due = []  # [(time, function)]: what ends a fault
        self.steps = [fault for fault, count in sorted(kills.items()) for _ in range(count)]
        self.random("order").shuffle(self.steps)

    def random(self, kind):
        if kind not in self.streams:
            self.streams[kind] = random.Random("%d-%s" % (self.cluster.seed, kind))
        return self.streams[kind]

    def record(self, fault, *detail):
        print(fault, now_ms(), *detail, file=self.log, flush=True)

    def later(self, seconds, function):
        self.due.append((time.monotonic() + seconds, function))

    def run_due(self):
        for entry in sorted(self.due, key=lambda e: e[0]):
            if entry[0] <= time.monotonic():
                self.due.remove(entry)
                entry[1]()

    def wait(self, reached, what):
        """Waits until `reached()`; meanwhile ends faults in time and replaces what crashed."""
        cluster, last = self.cluster, -1
        while not reached():
            if cluster.ended() != last:
                last, stalled = cluster.ended(), Deadline(STALL_S)
            if stalled.passed():
                raise Failure("no task has ended for %d s, waiting for %s; ended %s of %s, the "
                              "broker: %s" % (STALL_S * SLOW, what, cluster.finished,
                                              cluster.allowed, cluster.stats()))
            for _ in range(cluster.tend()):
                self.record("crash")
            self.run_due()
            with cluster.changed:
                if cluster.ended() == last:
                    cluster.changed.wait(min([1.0, *(max(0.001, at - time.monotonic())
                                                     for at, _ in self.due)]))

    def run(self):
        """Every fault, each at its time; then everything has to recover by itself."""
        cluster, total = self.cluster, sum(self.cluster.jobs)
        for number, fault in enumerate(self.steps, 1):
            goal = number * total // (len(self.steps) + 1)
            cluster.allow(goal)
            self.wait(lambda: cluster.ended() >= goal, "fault %d, %s" % (number, fault))
            getattr(self, fault)(self.random(fault))
        cluster.allow(SUBMITTERS * total)
        self.wait(lambda: cluster.ended() == total and not self.due, "the last tasks")
        for submitter in cluster.submitters:
            equal(submitter.wait_exit(30), 0, "exit status of a submitter that said:\n%s\n" %
                  submitter.output())
        self.rest()

    def rest(self):
        """With every outcome told, the broker holds no task, and ends in good order."""
        cluster, deadline = self.cluster, Deadline(30)
        held = {"?": 1}
        while any(held.values()):
            check(not deadline.passed(), "all tasks have ended, and the broker has %s" % held)
            stats = cluster.stats()
            held = {key: stats[key] for key in
                    ("waiting", "delayed", "queued", "leased", "cancelling", "queued_bytes")}
        for worker in cluster.workers:
            worker.signal(signal.SIGTERM)
        cluster.broker.signal(signal.SIGTERM)
        equal(cluster.broker.wait_exit(20), 0, "exit status of a broker that said:\n%s\n" %
              cluster.broker.output())

    # ---- faults: processes

    def kill_worker(self, rng):
        slot = rng.randrange(WORKERS)
        self.cluster.workers[slot].bury()
        self.record("kill_worker", slot)
        self.cluster.start_worker(slot)

    def kill_broker(self, rng):
        self.cluster.broker.bury()
        self.record("kill_broker")
        self.cluster.start_broker()

    def stop(self, fault, process, ms):
        self.record(fault, ms)
        process.signal(signal.SIGSTOP)
        self.later(ms / 1000, lambda: process.running() and process.signal(signal.SIGCONT))

    def stop_worker(self, rng):
        """Beyond the leases of some tasks, or so long that it is given up."""
        self.stop("stop_worker", rng.choice(self.cluster.workers),
                  rng.choice((600, 900, 1.3 * SILENCE_MS * SLOW)))

    def stop_submitter(self, rng):
        """Until its tasks are cancelled: it submits them anew when it is back."""
        self.stop("stop_submitter", rng.choice(self.cluster.submitters),
                  1.1 * (SILENCE_MS + RESUME_MS) * SLOW)

    def stop_broker(self, rng):
        """So short that nobody minds, or so long that everybody gives it up."""
        self.stop("stop_broker", self.cluster.broker,
                  rng.choice((1000, 1.3 * SILENCE_MS * SLOW)))

    def starve(self, rng):
        """The broker may open no more, while everybody comes anew."""
        pid = self.cluster.broker.child.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE,
                         (len(os.listdir("/proc/%d/fd" % pid)) + rng.randrange(3), limits[1]))
        self.record("starve")
        self.reset_all()
        broker = self.cluster.broker
        self.later(0.5, lambda: broker.running() and
                   resource.prlimit(pid, resource.RLIMIT_NOFILE, limits))

    def jump(self, rng):
        """The wall clock of every process; processes look at it once a second."""
        if self.cluster.faketime:
            offset_s = rng.choice((-86400 * 365, -3600, -5, 5, 3600, 86400 * 365))
            self.record("jump", offset_s)
            self.cluster.set_clock(offset_s)

    # ---- faults: connections

    def strike(self, rng, fault, command, lasts_s=0.0, then="clear both"):
        """One of the young connections: old ones may be half-open for good."""
        proxy = rng.choice(self.cluster.proxies)
        number = rng.choice(proxy.youngest(WORKERS // 2) or [0])
        self.record(fault, number, command)
        proxy.tell("%d %s" % (number, command))
        if lasts_s:
            self.later(lasts_s, lambda: proxy.tell("%d %s" % (number, then)))

    def reset(self, rng):
        """And what was said in the moment before is lost, in both directions."""
        self.strike(rng, "reset", "delay both 10000", rng.choice((0.001, 0.05, 0.3)), "reset both")

    def reset_all(self):
        for proxy in self.cluster.proxies:
            proxy.tell("all reset both")

    def storm(self, rng):
        self.record("storm")
        self.reset_all()

    def half_open(self, rng):
        self.strike(rng, "half_open", "swallow both")

    def cut(self, rng):
        self.strike(rng, "cut", "swallow " + rng.choice(("up", "down")))

    def delay(self, rng):
        self.strike(rng, "delay", "delay %s %d" % (rng.choice(("up", "down", "both")),
                                                   rng.randrange(1, 300)), 1.0)

    def rate(self, rng):
        self.strike(rng, "rate", "rate both %d" % rng.randrange(5000, 100000), 1.0)

    def trickle(self, rng):
        self.strike(rng, "trickle", "trickle both", 1.0)

    def pause(self, rng):
        self.strike(rng, "pause", "pause " + rng.choice(("up", "down", "both")),
                    rng.choice((0.3, 1.0)))


def perform(directory, seed, jobs, worker_kills, broker_kills):
    """One run; its histories are in `directory`. Failure says what went wrong on the way."""
    kills = {kind: max(2, count * worker_kills // 200) for kind, count in SHARES.items()}
    kills.update(kill_worker=worker_kills, kill_broker=broker_kills)
    check(shutil.which("setpriv"), "setpriv of util-linux is missing")
    with Cluster(directory, seed, jobs) as cluster:
        director = Director(cluster, kills)
        try:
            director.run()
        finally:
            director.log.close()
