#!/usr/bin/python3
"""sluice-tool: fetches what it may and nothing else, calculates, tells the time, sleeps.

Pages come from a server in this file, on loopback, which the agent reaches with --allow-private.
For a server at a public address that leads to a private one, and for a name server that does not
answer, the agent runs in namespaces of its own, where a public address is on the loopback
interface; where the system allows none, those cases are skipped.
"""
import ctypes
import datetime
import fcntl
import gzip
import http.server
import json
import os
import select
import shutil
import signal
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import urllib.parse

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import (CANCEL, REPLY, SLOW, STARTED, Broker, Deadline, Peer, Process, case,
                         check, equal, main, program)

PUBLIC = "11.22.33.44"  # a public address; only ever configured inside a namespace


# ---------------------------------------------------------------------- a web server

class Pages(http.server.BaseHTTPRequestHandler):
    """One method a path. `server.events[path]` is set when its client has gone."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, body, content_type="text/html", status=200, **headers):
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", content_type)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query))
        self.server.requests.append((path, dict(self.headers)))
        getattr(self, "page_" + path.strip("/"))()

    def page_article(self):
        self.answer(b"<!DOCTYPE html><html><head><title>On &amp; off</title><script>var a = '<p>no';"
                    b"</script></head><body><h1>Head</h1><p>One <b>bold</b>\nline.</p><ul><li>first"
                    b"<li>second</ul><a href='https://example.com/x'>link</a></body></html>")

    def page_latin(self):
        self.answer("caf\u00e9".encode("latin-1"), "text/html; charset=ISO-8859-1")

    def page_meta(self):
        self.answer(b"<meta charset='windows-1251'>\xef\xf0\xe8\xe2\xe5\xf2")

    def page_plain(self):
        self.answer(b"a <b> c\r\n", "text/plain")

    def page_binary(self):
        self.answer(bytes(range(256)), "image/png")

    def page_missing(self):
        self.answer(b"<p>not here</p>", status=404)

    def page_zip(self):
        self.answer(gzip.compress(b"x" * 3000000), "text/plain", Content_Encoding="gzip")

    def page_to(self):
        self.answer(b"", status=302, Location=self.query["url"])

    def page_loop(self):
        self.answer(b"", status=302, Location="/loop")

    def page_huge(self):
        """Without an end: until the client goes."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.until_gone(lambda: self.wfile.write(b"0123456789abcdef" * 4096))

    def page_headers(self):
        self.send_response(200)
        self.flush_headers()
        self.until_gone(lambda: self.wfile.write(b"X-More: " + b"x" * 1000 + b"\r\n"))

    def page_hang(self):
        """A header, and then nothing: until the client goes."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", "10")
        self.end_headers()
        self.wfile.flush()
        self.server.hanging.set()
        self.until_gone(self.receive)

    def receive(self):
        if not self.connection.recv(1):
            raise ConnectionError

    def until_gone(self, step):
        """Repeats `step` until it finds that the client has closed its connection."""
        try:
            while True:
                step()
        except OSError:
            pass
        self.close_connection = True
        self.wfile = open(os.devnull, "wb")  # the base class flushes it
        self.server.gone.set()


class Web(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address="127.0.0.1"):
        super().__init__((address, 0), Pages)
        self.requests, self.hanging, self.gone = [], threading.Event(), threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)  # HTTPServer's asks DNS for its name
        self.server_name, self.server_port = self.server_address[:2]

    def url(self, path, host=None):
        return "http://%s:%d/%s" % (host or self.server_address[0], self.server_address[1], path)

    def handle_error(self, *_):
        pass

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


# ----------------------------------------------------------------------- the agent

class Tool(Process):
    def __init__(self, broker, *options, environment=None):
        super().__init__([program("sluice-tool"), "--broker", broker.endpoint, "--name", "tool"] +
                         list(options), environment)

    def __exit__(self, kind, *rest):
        try:
            if kind is None:
                check(self.running(), "sluice-tool ended by itself:\n" + self.output())
                self.signal(15)
                equal(self.wait_exit(), 0, "exit status of sluice-tool, which said:\n%s\n" %
                      self.output())
        finally:
            super().__exit__(kind, *rest)


def start(peer, service, args, **options):
    return peer.submit(service, msgpack.packb(args), if_absent="wait", **options)


def outcome(peer, task, seconds=20):
    result = peer.result(task, seconds)
    body = result.body
    return result.outcome, msgpack.unpackb(body) if isinstance(body, bytes) else body


def done(peer, service, args, **options):
    how, body = outcome(peer, start(peer, service, args, **options))
    equal(how, "done", "outcome of %s %s, %s," % (service, args, body))
    return body


def failed(peer, service, args, code, **options):
    how, error = outcome(peer, start(peer, service, args, **options))
    equal((how, error.get("code")), ("failed", code), "%s %s: %s" % (service, args, error))
    return error


# --------------------------------------------------------------------------- fetch

@case("fetch: a page becomes title and text")
def _():
    with Web() as web, Broker() as broker, Tool(broker, "--allow-private"), Peer(broker) as peer:
        page = done(peer, "tool.fetch", {"url": web.url("article")})
        equal(page["title"], "On & off")
        equal(page["text"], "# Head\n\nOne bold line.\n\n- first\n- second\n\n"
                            "link <https://example.com/x>")
        equal((page["status"], page["content_type"], page["truncated"]), (200, "text/html", False))
        equal(page["url"], web.url("article"))
        check(page["bytes"] > 200, "bytes: %s" % page["bytes"])
        headers = web.requests[0][1]
        check(headers["User-Agent"].startswith("sluice/"), headers)
        check("Cookie" not in headers and "Authorization" not in headers, headers)


@case("fetch: every charset comes back as UTF-8, and what is no text as none")
def _():
    with Web() as web, Broker() as broker, Tool(broker, "--allow-private"), Peer(broker) as peer:
        equal(done(peer, "tool.fetch", {"url": web.url("latin")})["text"], "caf\u00e9")
        equal(done(peer, "tool.fetch", {"url": web.url("meta")})["text"], "\u043f\u0440\u0438\u0432\u0435\u0442")
        equal(done(peer, "tool.fetch", {"url": web.url("plain")})["text"], "a <b> c\n")
        equal(done(peer, "tool.fetch", {"url": web.url("binary")})["text"], "")


@case("fetch: any status is a result")
def _():
    with Web() as web, Broker() as broker, Tool(broker, "--allow-private"), Peer(broker) as peer:
        page = done(peer, "tool.fetch", {"url": web.url("missing")})
        equal((page["status"], page["text"]), (404, "not here"))


@case("fetch: redirects are followed, to a bound, and to http alone")
def _():
    with Web() as web, Broker() as broker, Tool(broker, "--allow-private"), Peer(broker) as peer:
        page = done(peer, "tool.fetch", {"url": web.url("to?url=/article")})
        equal((page["url"], page["status"]), (web.url("article"), 200))
        failed(peer, "tool.fetch", {"url": web.url("loop")}, "too_many_redirects")
        equal(sum(path == "/loop" for path, _ in web.requests), 6, "requests of /loop")
        failed(peer, "tool.fetch", {"url": web.url("to?url=file:///etc/passwd")}, "bad_answer")
        failed(peer, "tool.fetch", {"url": web.url("to?url=gopher://127.0.0.1:1/x")}, "bad_answer")


@case("fetch: a body without end is cut, and its connection closed")
def _():
    with Web() as web, Broker() as broker, Tool(broker, "--allow-private"), Peer(broker) as peer:
        page = done(peer, "tool.fetch", {"url": web.url("huge"), "max_bytes": 100000})
        equal((page["truncated"], page["bytes"], len(page["text"])), (True, 100000, 100000))
        check(web.gone.wait(10), "the server still has its client")
        page = done(peer, "tool.fetch", {"url": web.url("zip"), "max_bytes": 5000})
        equal((page["truncated"], page["text"]), (True, "x" * 5000))


@case("fetch: headers without end are refused")
def _():
    with Web() as web, Broker() as broker, Tool(broker, "--allow-private"), Peer(broker) as peer:
        failed(peer, "tool.fetch", {"url": web.url("headers")}, "bad_answer")
        check(web.gone.wait(10), "the server still has its client")


@case("fetch: a slow server costs the time that was given, no more")
def _():
    with Web() as web, Broker() as broker, Tool(broker, "--allow-private"), Peer(broker) as peer:
        error = failed(peer, "tool.fetch", {"url": web.url("hang"), "timeout_ms": 300},
                       "fetch_timeout")
        check("300 ms" in error["message"] and not error.get("retryable"), error)
        check(web.gone.wait(10), "the server still has its client")


@case("fetch: a cancel closes the connection")
def _():
    with Web() as web, Broker() as broker, Tool(broker, "--allow-private"), Peer(broker) as peer:
        task = start(peer, "tool.fetch", {"url": web.url("hang"), "timeout_ms": 60000})
        check(web.hanging.wait(20), "the server was not asked")
        peer.send([CANCEL, task, "enough", 7])
        equal(outcome(peer, task)[0], "cancelled")
        check(peer.wait(REPLY)[2], "the cancel was refused")
        check(web.gone.wait(10), "the server still has its client")


@case("fetch: fifty pages at once come back whole, each to its own task")
def _():
    with Web() as web, Broker() as broker, Tool(broker, "--allow-private"), Peer(broker) as peer:
        paths = ["article", "plain", "latin", "missing", "to?url=/plain"] * 10
        tasks = [start(peer, "tool.fetch", {"url": web.url(path)}) for path in paths]
        texts = {"latin": "caf\u00e9", "plain": "a <b> c\n", "missing": "not here",
                 "to?url=/plain": "a <b> c\n"}
        for path, task in zip(paths, tasks):
            how, page = outcome(peer, task)
            equal(how, "done")
            equal(page["text"][:9], texts.get(path, "# Head\n\nO")[:9], path)


@case("a second signal ends it at once, in the middle of a fetch and a sleep")
def _():
    with Web() as web, Broker() as broker, Peer(broker) as peer, \
            Process([program("sluice-tool"), "--allow-private", "--broker", broker.endpoint]) as tool:
        sleep = start(peer, "tool.sleep", {"ms": 60000}, receipts=True, attempts=1)
        fetch = start(peer, "tool.fetch", {"url": web.url("hang"), "timeout_ms": 60000}, attempts=1)
        peer.wait(STARTED, lambda c: c[1] == sleep)
        check(web.hanging.wait(20), "the server was not asked")
        tool.signal(signal.SIGTERM)
        while any(row["workers"] for row in peer.query("catalog")["services"]):
            pass  # it drains as soon as it has withdrawn what it offered
        tool.signal(signal.SIGTERM)
        equal(tool.wait_exit(5), 0, "exit status")
        check(web.gone.wait(10), "the server still has its client")
        equal(outcome(peer, fetch)[1]["code"], "worker_lost")
        equal(outcome(peer, sleep)[1]["code"], "worker_lost")


@case("fetch: a certificate that nobody vouches for is refused" +
      ("" if shutil.which("openssl") else " # SKIP no openssl here"))
def _():
    if not shutil.which("openssl"):
        return
    with tempfile.TemporaryDirectory() as folder, Web() as web, Broker() as broker, \
            Tool(broker, "--allow-private") as _, Peer(broker) as peer:
        pem = os.path.join(folder, "pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
                        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", pem, "-out", pem + ".crt"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem + ".crt", pem)
        web.socket = context.wrap_socket(web.socket, server_side=True)
        url = web.url("article").replace("http:", "https:")
        failed(peer, "tool.fetch", {"url": url}, "bad_answer")
        equal(web.requests, [], "requests")


@case("fetch: no connection is a failure worth another try")
def _():
    with Broker() as broker, Tool(broker, "--allow-private"), Peer(broker) as peer, \
            socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, and nobody listens
        error = failed(peer, "tool.fetch", {"url": "http://127.0.0.1:%d/" % closed.getsockname()[1]},
                       "fetch_failed", attempts=1)
        check(error["retryable"], error)


@case("fetch: private addresses are refused in every disguise, also of a proxy's environment")
def _():
    with Web() as web, Broker() as broker, Peer(broker) as peer, \
            Tool(broker, environment={"http_proxy": web.url(""), "ALL_PROXY": web.url("")}):
        for host in ("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0.0.0.0", "0",
                     "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
                     "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]", "user@127.0.0.1"):
            error = failed(peer, "tool.fetch", {"url": web.url("article", host)}, "address_refused")
            check("not allowed" in error["message"] and not error.get("retryable"), error)
        for host in ("10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "[fe80::1]",
                     "[fd00::1]", "224.0.0.1", "255.255.255.255"):
            failed(peer, "tool.fetch", {"url": "http://%s/" % host}, "address_refused")
        equal(web.requests, [], "requests that reached the server")


# ---- networks of our own: a public server that leads to a private one, a silent DNS ----------

LIBC = ctypes.CDLL(None, use_errno=True)


def must(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def enter_namespace():
    """User, network and mount namespaces with PUBLIC on the loopback interface. OSError: not
    here."""
    must(LIBC.unshare(0x10000000 | 0x40000000 | 0x20000), "unshare")  # NEWUSER, NEWNET, NEWNS
    with socket.socket() as control:
        for name, address in ((b"lo", "127.0.0.1"), (b"lo:1", PUBLIC)):
            fcntl.ioctl(control, 0x8916, struct.pack(  # SIOCSIFADDR
                "16sH2s4s8s", name, socket.AF_INET, b"", socket.inet_aton(address), b""))
            fcntl.ioctl(control, 0x8914, struct.pack("16sH", name, 0x1 | 0x40))  # IFF_UP, RUNNING


def silence_dns():
    """A name server that hears every question and answers none. Only in the namespace."""
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write("nameserver 127.0.0.1\n")
    must(LIBC.mount(b"none", b"/", None, 0x4000 | 0x40000, None), "mount")  # MS_REC | MS_PRIVATE
    must(LIBC.mount(file.name.encode(), b"/etc/resolv.conf", None, 0x1000, None), "mount")  # BIND
    os.unlink(file.name)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    return server


def run_inside(endpoint):
    """Starts servers and the agent in a namespace; prints their addresses; at a line on its
    input, stops the agent and prints what the servers were asked."""
    enter_namespace()
    dns, public, private = silence_dns(), Web(PUBLIC), Web("127.0.0.1")
    if endpoint == "probe":
        return 0
    tool = subprocess.Popen([program("sluice-tool"), "--broker", endpoint])
    print(json.dumps({"public": public.url(""), "private": private.url("")}), flush=True)
    sys.stdin.readline()
    tool.terminate()
    status = tool.wait()
    dns.setblocking(False)
    print(json.dumps({"private": [path for path, _ in private.requests],
                      "dns": b"silent" in dns.recv(512) if can_read(dns) else False}), flush=True)
    return status


def can_read(server):
    return bool(select.select([server], [], [], 0)[0])


if __name__ == "__main__" and sys.argv[1:2] == ["--inside"]:
    sys.exit(run_inside(sys.argv[2]))  # a child of the cases below


def has_namespaces():
    probe = subprocess.run([sys.executable, os.path.abspath(__file__), "--inside", "probe"],
                           stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return probe.returncode == 0


class Inside:
    """run_inside as a child."""

    def __init__(self, broker):
        self.child = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), "--inside", broker.endpoint],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.urls = json.loads(self.child.stdout.readline())

    def stop(self):
        self.child.stdin.write("\n")
        self.child.stdin.flush()
        asked = json.loads(self.child.stdout.readline())
        equal(self.child.wait(20 * SLOW), 0, "exit status of sluice-tool")
        return asked

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.communicate()


def case_inside(name):
    if has_namespaces():
        return case(name)
    return lambda function: case(name + " # SKIP no namespaces here")(lambda: None)


@case_inside("fetch: a public server cannot lead to a private one")
def _():
    with Broker(endpoint="ipc://{dir}/broker") as broker, Peer(broker) as peer, \
            Inside(broker) as inside:
        page = done(peer, "tool.fetch", {"url": inside.urls["public"] + "article"})
        equal(page["title"], "On & off")
        hop = inside.urls["public"] + "to?url=" + inside.urls["private"] + "article"
        failed(peer, "tool.fetch", {"url": hop}, "address_refused")
        failed(peer, "tool.fetch", {"url": inside.urls["public"] + "to?" +
                                    urllib.parse.urlencode({"url": hop})}, "address_refused")
        equal(inside.stop()["private"], [], "requests of the private server")


@case_inside("fetch: a name server that does not answer holds up nothing")
def _():
    with Broker(endpoint="ipc://{dir}/broker") as broker, Peer(broker) as peer, \
            Inside(broker) as inside:
        done(peer, "tool.calc", {"expression": "1"})
        fetches = [start(peer, "tool.fetch", {"url": "http://silent.example/", "timeout_ms": 300})
                   for _ in range(2)]
        # libc asks again for ten seconds. Waiting for that would block the loop, and this.
        deadline = Deadline(4)
        done(peer, "tool.calc", {"expression": "1"})
        for task in fetches:
            equal(outcome(peer, task)[1]["code"], "fetch_timeout")
        done(peer, "tool.calc", {"expression": "1"})
        check(not deadline.passed(), "it took %.1f s" % (4 - deadline.left()))
        check(inside.stop()["dns"], "the name server was not asked")


# ----------------------------------------------------------------------- calc, time, sleep

@case("calc: whole numbers stay whole, and errors name the position")
def _():
    with Broker() as broker, Tool(broker), Peer(broker) as peer:
        equal(done(peer, "tool.calc", {"expression": "(17 + 4) * 2^3"}),
              {"expression": "(17 + 4) * 2^3", "value": 168, "text": "168"})
        equal(done(peer, "tool.calc", {"expression": "0.1 + 0.2"})["value"], 0.3)
        equal(done(peer, "tool.calc", {"expression": "15% of 80"})["text"], "12")
        check("position 5" in failed(peer, "tool.calc", {"expression": "2 + )"},
                                     "bad_expression")["message"], "no position")
        check("division by zero" in failed(peer, "tool.calc", {"expression": "1/0"},
                                           "no_value")["message"], "no reason")


@case("time: now in a zone, and sums with dates")
def _():
    with Broker() as broker, Tool(broker), Peer(broker) as peer:
        answer = done(peer, "tool.time", {"zone": "Asia/Kolkata"})
        now = datetime.datetime.fromisoformat(answer["now"])
        equal(now.utcoffset(), datetime.timedelta(hours=5, minutes=30))
        equal(int(now.timestamp() * 1000 + 0.5), answer["unix_ms"])
        check(abs(now.timestamp() - datetime.datetime.now().timestamp()) < 60, answer)
        equal((answer["weekday"], answer["date"]), (now.strftime("%A"), answer["now"][:10]))
        answer = done(peer, "tool.time", {"date": "2024-12-30"})
        equal((answer["weekday"], answer["day_of_year"], answer["iso_week"]),
              ("Monday", 365, "2025-W01"))
        equal(done(peer, "tool.time", {"from": "2024-02-28", "to": "2024-03-01"})["days"], 2)
        equal(done(peer, "tool.time", {"date": "2024-03-01", "add_days": -1})["date"], "2024-02-29")
        failed(peer, "tool.time", {"zone": "Nowhere/City"}, "unknown_zone")
        failed(peer, "tool.time", {"zone": "../../etc/passwd"}, "unknown_zone")
        failed(peer, "tool.time", {"date": "2023-02-29"}, "bad_date")
        failed(peer, "tool.time", {"date": "9999-12-31", "add_days": 1}, "bad_date")


@case("sleep: takes as long as it is told, fails as it is told, and stops when cancelled")
def _():
    with Broker() as broker, Tool(broker), Peer(broker) as peer:
        slept = done(peer, "tool.sleep", {"ms": 50})["slept_ms"]
        check(slept >= 50, "slept %s ms" % slept)
        equal(failed(peer, "tool.sleep", {"ms": 0, "fail": "my_code"}, "my_code").get("retryable",
                                                                                    False), False)
        task = start(peer, "tool.sleep", {"ms": 60000}, receipts=True)
        peer.wait(STARTED, lambda c: c[1] == task)
        peer.send([CANCEL, task, "enough", 9])
        equal(outcome(peer, task)[0], "cancelled")
        check(peer.wait(REPLY)[2], "the cancel was refused")


@case("sleep: a thousand at once take as long as one")
def _():
    with Broker() as broker, Tool(broker), Peer(broker) as peer:
        results = []
        for task in [start(peer, "tool.sleep", {"ms": 300}) for _ in range(1000)]:
            results.append(peer.result(task, 30))
            equal(results[-1].outcome, "done")
        # One after the other that is five minutes; sixteen at once, 19 seconds.
        waited_ms = max(result.field(5, 0) for result in results)
        check(waited_ms < 5000 * SLOW, "one of them waited %d ms for a place" % waited_ms)


@case("arguments that do not fit are refused with their place")
def _():
    with Broker() as broker, Tool(broker), Peer(broker) as peer:
        for service, args, place in (
                ("tool.fetch", {}, "/url: is required"),
                ("tool.fetch", {"url": "file:///etc/passwd"}, "/url: must match"),
                ("tool.fetch", {"url": 5}, "/url: must be string, is integer"),
                ("tool.fetch", {"url": "http://x.example/", "max_bytes": 0}, "/max_bytes: must be at least 1"),
                ("tool.fetch", {"url": "http://x.example/", "hedaers": 1}, "/hedaers: is not allowed"),
                ("tool.fetch", {"url": "http://x.example/\0"}, "/url: must have no NUL"),
                ("tool.calc", {"expression": "1\0+1"}, "/expression: must have no NUL"),
                ("tool.time", {"zone": "UTC\0x"}, "/zone: must have no NUL"),
                ("tool.time", {"date": "2024-01-01\0x"}, "/date: must match"),
                ("tool.sleep", {"ms": 0, "fail": "code\0x"}, "/fail: must match"),
                ("tool.calc", {"expression": "1" * 1001}, "/expression: must have at most 1000"),
                ("tool.time", {"date": "tomorrow"}, "/date: must match"),
                ("tool.sleep", {"ms": 1.5}, "/ms: must be integer, is number"),
                ("tool.sleep", {"ms": 60001}, "/ms: must be at most 60000"),
                ("tool.sleep", [], "(value): must be object, is array")):
            how, error = outcome(peer, start(peer, service, args))
            equal((how, error.get("code")), ("failed", "bad_arguments"), "%s %s" % (service, args))
            check(error["message"].startswith(place), "%s %s: %s" % (service, args, error))


if __name__ == "__main__":
    main()
