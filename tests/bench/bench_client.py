"""A benchmark's program, run to its end."""
import ctypes
import json
import os
import signal
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.join(ROOT, os.environ.get("BUILD", "build"), "bin")

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
RUN_S = 300  # longer: it hangs
LONG_RUN_S = 3600  # the same of what somebody may have made large
STOP_S = 30


LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


class Failed(Exception):
    """Why there are no figures."""


def end_with_parent():
    """In a process before it is run: it is to end too when this one is killed."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def stop(client):
    client.terminate()
    try:
        client.communicate(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        client.kill()
        client.communicate()


def run_client(command, seconds=RUN_S):
    """The JSON object that it prints. Failed: there is none, or something was lost or changed.
    Whatever ends us ends it, politely: so it ends its own processes, and removes its files."""
    client = None
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # until we know whom to end

    def before_exec():
        end_with_parent()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    try:
        client = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, preexec_fn=before_exec)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        out, error = client.communicate(timeout=seconds)
    except OSError as error:
        raise Failed("cannot be run: %s: %s" % (error.strerror, " ".join(command)))
    except subprocess.TimeoutExpired:
        stop(client)
        raise Failed("took longer than %d s: %s" % (seconds, " ".join(command)))
    except BaseException:
        if client:
            stop(client)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if client.returncode != 0:
        raise Failed("status %d: %s\n%s" % (client.returncode, " ".join(command),
                                            (error + out)[-2000:]))
    try:
        return json.loads(out)
    except ValueError:
        raise Failed("said no JSON: %s\n%s" % (" ".join(command), out[-2000:]))
