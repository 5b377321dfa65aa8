"""TCP ports of this machine."""
import random
import socket


def free_port():
    """One that was free a moment ago, of those that the kernel gives to no outgoing connection, which
    might take it meanwhile. Prefer port `*` where the program allows it."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
