"""The servers of `make bench-peers`: private ones on free ports of 127.0.0.1, each with all its
files in a directory of its own."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

from bench_client import BIN, ROOT, end_with_parent

sys.path.insert(0, os.path.join(ROOT, "tests/lib"))
from ports import free_port  # noqa: E402

START_S = 60
STOP_S = 30
INSTALL = "deploy/deps.sh bench installs it"
RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"  # not the wrapper, which wants one user
MESSAGE_MAX = 8 * 1024 * 1024  # nats-server advises against more
PENDING_MAX = 1024 * 1024 * 1024  # of one NATS client: more than any window of ours


class Missing(Exception):
    """Why a rival cannot be measured."""


def find_program(name, *also):
    found = shutil.which(name) or next((p for p in also if os.access(p, os.X_OK)), None)
    if not found:
        raise Missing("%s is not installed; %s" % (name, INSTALL))
    return found


def find_client(name, library):
    path = os.path.join(BIN, "sluice-bench-" + name)
    if not os.path.exists(path):
        raise Missing("its client is not built: that needs %s; %s" % (library, INSTALL))
    return path


def output_of(*command):
    said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL)
    return said.stdout.strip()


def version_of(text):
    """(major, minor), and all of the version as text."""
    found = re.search(r"(\d+)\.(\d+)(?:\.\d+)*", text)
    if not found:
        raise Missing("it does not say its version: " + text[:200])
    return (int(found[1]), int(found[2])), found[0]


class Server:
    """A process in a directory of its own, that listens on a port."""

    def __init__(self, directory, name):
        self.directory = os.path.join(directory, name)
        self.log = os.path.join(self.directory, "log")
        self.port = free_port()
        self.processes = []  # in the order they were started
        os.mkdir(self.directory)

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def spawn(self, command, **env):
        with open(self.log, "ab") as log:
            self.processes.append(subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                env={**os.environ, "HOME": self.directory, **env}, start_new_session=True,
                preexec_fn=end_with_parent))
        return self.processes[-1]

    def pid(self):
        """Whose CPU time counts."""
        return self.processes[-1].pid

    def is_ready(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def await_ready(self):
        until = time.monotonic() + START_S
        while not self.is_ready():
            if self.processes[-1].poll() is not None or time.monotonic() > until:
                with open(self.log, errors="replace") as log:
                    raise Missing("the server did not start; it said:\n" + log.read()[-2000:])
            time.sleep(0.1)

    def stop(self):
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # its own session, and so its group
                process.wait()
        self.processes = []


class Nats(Server):
    """nats-server. `store`: with JetStream; `sync`: its sync_interval, None: what it does by itself."""

    def __init__(self, directory, name, store=False, sync=None):
        program = find_program("nats-server", "/usr/sbin/nats-server")
        said = output_of(program, "--version")
        number, version = version_of(said)
        if sync and number < (2, 10):
            raise Missing("sync_interval needs nats-server 2.10; this is " + version)
        super().__init__(directory, name)
        self.version = "nats-server " + version
        text = 'listen: "127.0.0.1:%d"\nmax_payload: %d\nmax_pending: %d\n' % (
            self.port, MESSAGE_MAX, PENDING_MAX)
        if store:
            text += 'jetstream {\n  store_dir: "%s"\n%s}\n' % (
                os.path.join(self.directory, "store"), "  sync_interval: %s\n" % sync if sync else "")
        self.spawn([program, "-c", self.write("nats.conf", text)])
        self.await_ready()


class RabbitMQ(Server):
    """A node of its own, with its own port mapper (epmd), that knows no other."""

    def __init__(self, directory, name):
        program = find_program("rabbitmq-server", RABBITMQ)
        program = RABBITMQ if os.access(RABBITMQ, os.X_OK) else program
        epmd = find_program("epmd")
        super().__init__(directory, name)
        mapper = str(free_port())
        self.pid_file = os.path.join(self.directory, "pid")
        self.spawn([epmd, "-address", "127.0.0.1", "-port", mapper])
        self.spawn([program], **{
            "ERL_EPMD_PORT": mapper, "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "sluice-bench-%d@localhost" % os.getpid(),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1", "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_MNESIA_BASE": os.path.join(self.directory, "mnesia"),
            "RABBITMQ_LOG_BASE": os.path.join(self.directory, "logs"),
            "RABBITMQ_PID_FILE": self.pid_file,
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.write("plugins", "[].\n"),
            "RABBITMQ_CONF_ENV_FILE": self.write("env.conf", ""),
            "RABBITMQ_CONFIG_FILE": self.write("rabbitmq.conf", ""),
            "RABBITMQ_FEATURE_FLAGS_FILE": os.path.join(self.directory, "feature_flags"),
        })
        self.await_ready()
        with open(self.log, errors="replace") as log:
            self.version = "RabbitMQ " + (re.search(r"RabbitMQ (\S+)", log.read()) or ["", "?"])[1]

    def pid(self):
        """The script that was started waits for the server, who writes its pid."""
        with open(self.pid_file) as file:
            return int(file.read())


class Redis(Server):
    """redis-server that keeps nothing on disk."""

    def __init__(self, directory, name):
        program = find_program("redis-server")
        number, version = version_of(output_of(program, "--version"))
        if number < (7, 0):
            raise Missing("BLMPOP needs Redis 7.0; this is " + version)
        super().__init__(directory, name)
        self.version = "Redis " + version
        self.spawn([program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                    "--appendonly", "no", "--dir", self.directory])
        self.await_ready()


class Gearmand(Server):
    """gearmand with its queue in memory."""

    def __init__(self, directory, name):
        program = find_program("gearmand", "/usr/sbin/gearmand")
        _, version = version_of(output_of(program, "--version"))
        super().__init__(directory, name)
        self.version = "gearmand " + version
        self.spawn([program, "--listen", "127.0.0.1", "--port", str(self.port), "--log-file", "stderr",
                    "--pid-file", os.path.join(self.directory, "pid")])
        self.await_ready()


class Beanstalkd(Server):
    """beanstalkd without its log; its bound of a job is lifted to what is measured."""

    def __init__(self, directory, name):
        program = find_program("beanstalkd")
        _, version = version_of(output_of(program, "-v"))
        super().__init__(directory, name)
        self.version = "beanstalkd " + version
        self.spawn([program, "-l", "127.0.0.1", "-p", str(self.port), "-z", str(2 * MESSAGE_MAX)])
        self.await_ready()


def start_one(directory, name, kind, arguments):
    """A server. Missing, with nothing left of it: why there is none."""
    server = kind.__new__(kind)
    server.processes = []
    try:
        server.__init__(directory, name, **arguments)
    except BaseException:
        server.stop()
        raise
    print("%s: %s" % (name, server.version), file=sys.stderr)
    return server


def stop_all(servers):
    for server in servers.values():
        server.stop()
