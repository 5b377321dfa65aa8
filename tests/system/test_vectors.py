#!/usr/bin/python3
"""Decodes every file of proto/vectors with python3-msgpack and a reader written
from proto/PROTOCOL.md alone: so the vectors are not just what our codec does.

Prints `ok - NAME` or `not ok - NAME` for each vector."""

import base64
import io
import json
import pathlib
import re
import sys

import msgpack

VECTORS = pathlib.Path(__file__).resolve().parents[2] / "proto" / "vectors"

MIB = 1024 * 1024
YEAR_MS = 366 * 24 * 3600 * 1000
NUMBER_MAX = 2**64 - 1
DAY_MS = 24 * 3600 * 1000
LIMIT_MAX = 2**36
DEPTH_MAX = 32
NAME = re.compile(r"[A-Za-z0-9_.-]+\Z")
OUTCOMES = ["done", "failed", "cancelled", "expired", "refused"]


class Wrong(Exception):
    """A command that has to be answered with ERROR."""

    def __init__(self, field, why="bad_message"):
        super().__init__(field)
        self.field, self.why = field, why


class NotAnId(bytes):
    """16 bytes that were not written as bin 8."""


# Kinds of value: each takes (reader, name, value) and returns what it means.


def uint(maximum=NUMBER_MAX):
    def kind(_, name, value):
        if type(value) is not int or value < 0:
            raise Wrong(name)
        if value > maximum:
            raise Wrong(name, "too_large")
        return value

    return kind


def boolean(_, name, value):
    if type(value) is not bool:
        raise Wrong(name)
    return value


def text(maximum, minimum=0, pattern=None):
    def kind(_, name, value):
        if type(value) is not str:
            raise Wrong(name)
        size = len(value.encode("utf-8", "surrogateescape"))
        if size > maximum:
            raise Wrong(name, "too_large")
        if size < minimum or any(ord(c) < 32 or ord(c) == 127 for c in value):
            raise Wrong(name)
        if any(0xDC80 <= ord(c) <= 0xDCFF for c in value):
            raise Wrong(name)  # bytes that were no UTF-8
        if pattern and value and not pattern.match(value):
            raise Wrong(name)
        return value

    return kind


def an_id(_, name, value):
    if type(value) is not bytes or len(value) != 16 or value == bytes(16):
        raise Wrong(name)
    return value.hex()


def ids(reader, name, value):
    if type(value) is not list:
        raise Wrong(name)
    if len(value) > 16384:
        raise Wrong(name, "too_large")
    return [an_id(reader, name, item) for item in value]


def one_of(*words):
    def kind(_, name, value):
        if value not in words:
            raise Wrong(name)
        return value

    return kind


def codes(_, name, value):
    if type(value) is not str:
        raise Wrong(name)
    if len(value.encode("utf-8", "surrogateescape")) > 256:
        raise Wrong(name, "too_large")
    if any(len(code) > 64 or not NAME.match(code) for code in value.split(" ")):
        raise Wrong(name)
    return value


def payload_bytes(reader, name, value, maximum):
    if type(value) is int:
        if not 1 <= value <= len(reader.frames) or value in reader.named:
            raise Wrong(name)
        reader.named.add(value)
        value = reader.frames[value - 1]
    if not isinstance(value, bytes):
        raise Wrong(name)
    if len(value) > maximum:
        raise Wrong(name, "too_large")
    return value


def payload(maximum=16 * MIB):
    return lambda reader, name, value: payload_bytes(reader, name, value, maximum).hex()


def as_json(value):
    if isinstance(value, bytes):
        return {"$bin": base64.b64encode(value).decode()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, Pairs):
        return {key: as_json(item) for key, item in value.pairs}
    return value


def known_keys(reader, name, value, kinds):
    if not isinstance(value, Pairs):
        raise Wrong(name)
    if len(value.pairs) > 64:
        raise Wrong(name, "too_large")
    known = {}
    for key, item in value.pairs:
        if type(key) is not str:
            raise Wrong(name)
        if key not in kinds:
            if depth(item) > DEPTH_MAX - 2:
                raise Wrong(name, "too_large")
            continue
        if key in known:
            raise Wrong(key)
        if item is not None:
            known[key] = kinds[key](reader, key, item)
    return known


ERROR_KEYS = {
    "code": text(64, 1, NAME),
    "message": text(1024),
    "retryable": boolean,
    "retry_after_ms": uint(YEAR_MS),
    "scope": text(8192),
}


def error_map(reader, _, value):
    known = known_keys(reader, "error", value, ERROR_KEYS)
    if "code" not in known:
        raise Wrong("code")
    if len(msgpack.packb(unpaired(value))) > 8192:
        raise Wrong("error", "too_large")
    return as_json(value)


def unpaired(value):
    if isinstance(value, Pairs):
        return {key: unpaired(item) for key, item in value.pairs}
    return [unpaired(item) for item in value] if isinstance(value, list) else value


def body_of_outcome(reader, name, value):
    if reader.got["outcome"] == "done":
        return payload()(reader, name, value)
    return error_map(reader, name, value)


def body_of_input(reader, name, value):
    if value is None and reader.got["outcome"] == "done":
        return None
    return body_of_outcome(Reader(reader.got, []), name, value)


def body_of_reply(reader, name, value):
    if not reader.got["ok"]:
        return error_map(reader, name, value)
    if not isinstance(value, Pairs):
        raise Wrong(name)
    if depth(value) > DEPTH_MAX - 1:
        raise Wrong(name, "too_large")
    return as_json(value)


def outcome(_, name, value):
    if type(value) is not int or not 0 <= value < len(OUTCOMES):
        raise Wrong(name)
    return OUTCOMES[value]


def argument(reader, name, value):
    what = reader.got["what"]
    if what == "stats":
        return None
    kind = text(256) if what in ("catalog", "peers", "list", "dead", "limits") else an_id
    return kind(reader, name, value)


def what(_, name, value):
    if type(value) is not str:
        raise Wrong(name)
    if value not in ("catalog", "peers", "status", "why", "tree", "result", "stats", "list", "dead",
                     "letter", "limits"):
        raise Wrong(name, "unsupported")
    return value


def control_what(_, name, value):
    if type(value) is not str:
        raise Wrong(name)
    if value not in ("limit", "pause", "resume", "drain", "undrain", "retry", "drop",
                     "backup"):
        raise Wrong(name, "unsupported")
    return value


def records_of(name, value):
    records = []
    try:
        for array in arrays(value):
            records.append(fields(Reader({}, []), array, INPUT))
    except (Wrong, Broken):
        raise Wrong(name) from None
    return records


def inputs(reader, name, value):
    return records_of(name, payload_bytes(reader, name, value, 16 * MIB))


# The commands of section 3: (name, kind, default). A default of REQUIRED: none.
# OPTIONS is the option map: its keys stand beside the fields.

REQUIRED = object()
OPTIONS = object()


def required(name, kind):
    return (name, kind, REQUIRED)


ID = required("id", an_id)
ATTEMPT = required("attempt", uint())
SERVICE = required("service", text(128, 1, NAME))
DURATION = uint(YEAR_MS)

KEY = text(64, 1)
SERVICE_OPTION = text(128, 1, NAME)
LIMITS = {
    "max_tasks": uint(NUMBER_MAX - 1), "max_bytes": uint(NUMBER_MAX - 1),
    "concurrency": uint(LIMIT_MAX), "rate": uint(LIMIT_MAX), "rate_ms": uint(DAY_MS),
    "burst": uint(LIMIT_MAX), "budget": uint(LIMIT_MAX), "budget_ms": uint(DAY_MS),
    "refuse": uint(1), "weight": uint(1000), "breaker_failures": uint(LIMIT_MAX),
    "breaker_percent": uint(100), "breaker_min": uint(LIMIT_MAX), "breaker_ms": uint(DAY_MS),
    "breaker_open_ms": uint(DAY_MS), "breaker_probes": uint(LIMIT_MAX),
    "breaker_refuse": uint(1), "attempts": uint(100), "backoff_ms": DURATION,
    "backoff_max_ms": DURATION, "max_run_ms": DURATION, "lease_ms": DURATION,
}
POLICIES = {
    "k": uint(16384), "run_if": one_of("done", "failed", "always"), "inputs": boolean,
    "route": one_of("one", "all"), "priority": uint(9), "key": KEY, "order": KEY,
    "affinity": KEY, "version": text(32), "cost": uint(2**40), "delay_ms": DURATION,
    "max_run_ms": DURATION, "backoff_ms": DURATION, "backoff_max_ms": DURATION,
    "retry_on": codes, "final_on": codes, "dead_letter": boolean, "idempotency_key": KEY,
    "cache_ms": DURATION, "detached": boolean, "durable": boolean, "retain_ms": DURATION,
    "stream": uint(65535),
}
CHUNK = ("CHUNK", [ID, ATTEMPT, required("sequence", uint()), required("payload", payload())])
SEQUENCE = ("SEQUENCE", [required("number", uint()), ("acknowledged", uint(), 0)])
COST = ("cost", uint(2**40), None)

RECORD = [
    ID,
    required("outcome", outcome),
    required("body", body_of_outcome),
    ("attempt", uint(), 0),
    ("waited_ms", uint(), 0),
    ("ran_ms", uint(), 0),
    ("worker", text(64), ""),
]
INPUT = RECORD[:2] + [("body", body_of_input, None)] + RECORD[3:]

COMMANDS = {
    "broker": {
        1: ("HELLO", [required("version", uint()), required("session", an_id),
                      required("name", text(64, 1)),
                      (OPTIONS, {"agent": text(64), "resume": boolean, "received": uint(),
                                 "greeting": uint()}, {})]),
        2: ("OFFER", [SERVICE, required("credit", uint(65535)),
                      (OPTIONS, {"schema": text(16384), "version": text(32), "about": text(1024),
                                 "max_tasks": uint(), "max_bytes": uint(), "lease_ms": DURATION,
                                 "attempts": uint(100), "max_run_ms": DURATION,
                                 "exclusive": boolean}, {})]),
        3: ("WITHDRAW", [SERVICE]),
        4: ("CREDIT", [SERVICE, required("credit", uint(65535))]),
        5: ("SUBMIT", [ID, required("service", text(128, 0, NAME)), required("payload", payload()),
                       (OPTIONS, {"deadline_ms": DURATION, "queue_ttl_ms": DURATION,
                                  "lease_ms": DURATION, "attempts": uint(100), "parent": an_id,
                                  "parent_attempt": uint(), "receipts": boolean, "held": boolean,
                                  "if_absent": one_of("refuse", "wait"),
                                  "join": one_of("all", "settled", "any", "k"), "needs": ids,
                                  **POLICIES}, {})]),
        6: ("CANCEL", [ID, ("reason", text(256), ""), ("request", uint(), 0)]),
        7: ("DONE", [ID, ATTEMPT, required("payload", payload()), COST]),
        8: ("FAIL", [ID, ATTEMPT, required("error", error_map), COST]),
        9: CHUNK,
        10: ("PROGRESS", [ID, ATTEMPT, ("payload", payload(8192), "")]),
        11: ("CHECKPOINT", [ID, ATTEMPT, required("payload", payload(MIB))]),
        12: ("SIGNAL", [required("request", uint()), ID, required("payload", payload())]),
        13: ("QUERY", [required("request", uint()), required("what", what),
                       ("argument", argument, ""),
                       (OPTIONS, {"service": SERVICE_OPTION, "state": KEY}, {})]),
        14: ("WATCH", [required("request", uint()), required("credit", uint(65535)),
                       (OPTIONS, {"service": SERVICE_OPTION, "task": an_id}, {})]),
        15: ("PING", [("nonce", uint(), 0)]),
        16: ("BYE", [("reason", text(256), "")]),
        17: ("READ", [ID, ATTEMPT, required("sequence", uint()), required("credit", uint(65535))]),
        18: ("CONTROL", [required("request", uint()), required("what", control_what),
                         (OPTIONS, {"service": SERVICE_OPTION, "key": KEY, "tenant": KEY,
                                    "peer": uint(), "task": an_id, "ms": DURATION,
                                    **LIMITS}, {})]),
        19: SEQUENCE,
    },
    "peer": {
        16: ("BYE", [("reason", text(256), "")]),
        19: SEQUENCE,
        32: ("WELCOME", [required("version", uint()),
                         (OPTIONS, {"known": boolean, "broker": an_id, "shard": uint(),
                                    "ping_ms": DURATION, "silence_ms": DURATION,
                                    "resume_ms": DURATION, "window_tasks": uint(),
                                    "window_bytes": uint(), "payload_bytes": uint(),
                                    "time_ms": uint(), "resume": boolean, "resumed": boolean,
                                    "received": uint(), "greeting": uint()}, {})]),
        33: ("ACCEPTED", [ID]),
        34: ("STARTED", [ID, ATTEMPT, required("worker", text(64, 1))]),
        35: ("TASK", [ID, ATTEMPT, SERVICE, required("payload", payload()),
                      (OPTIONS, {"deadline_ms": DURATION, "lease_ms": DURATION,
                                 "submitter": text(64), "max_run_ms": DURATION,
                                 "stream": uint(65535)}, {}),
                      ("inputs", inputs, None), ("checkpoint", payload(MIB), "")]),
        36: ("RESULT", RECORD + [("inputs", inputs, None)]),
        37: CHUNK,
        38: ("PROGRESS", [ID, ATTEMPT, ("payload", payload(8192), "")]),
        39: ("CANCEL", [ID, ATTEMPT, required("reason", text(64, 1))]),
        40: ("SIGNAL", [ID, ATTEMPT, required("payload", payload())]),
        41: ("REPLY", [required("request", uint()), required("ok", boolean),
                       required("body", body_of_reply)]),
        42: ("EVENT", [required("request", uint()), required("sequence", uint()),
                       required("lost", uint()), required("kind", text(64, 1)),
                       ("task", an_id, ""), ("service", text(128), ""), ("peer", text(64), ""),
                       ("attempt", uint(), 0), ("detail", text(256), "")]),
        43: ("PONG", [("nonce", uint(), 0)]),
        44: ("ERROR", [required("error", error_map), ("command", uint(2**32 - 1), 0),
                       ("field", text(64), ""), ("id", an_id, "")]),
        45: ("FLOW", [ID, ATTEMPT, required("until", uint())]),
    },
}

# An option that says its default is left out of a meaning; required fields never are.
QUIET = {0, "", False, "refuse", "one"}


OTHER_DEFAULTS = {"priority": 4, "run_if": "done", "inputs": True}


def says_nothing(key, item, kinds):
    """An option that is as good as absent. In CONTROL a limit of 0 is not."""
    if "breaker_ms" in kinds and key in LIMITS:
        return False
    if key in OTHER_DEFAULTS:
        return item == OTHER_DEFAULTS[key]
    return not isinstance(item, list) and item in QUIET


class Reader:
    def __init__(self, got, frames, named=None):
        self.got, self.frames = got, frames
        self.named = set() if named is None else named


def fields(reader, array, table):
    got = reader.got
    for position, (name, kind, default) in enumerate(table):
        value = array[position] if position < len(array) else None
        if name is OPTIONS:
            options = known_keys(reader, "opt", Pairs([]) if value is None else value, kind)
            got.update({key: item for key, item in options.items()
                        if not says_nothing(key, item, kind)})
        elif value is None:
            if default is REQUIRED:
                raise Wrong(name)
            if kind is body_of_input:
                if got["outcome"] != "done":
                    raise Wrong(name)
                got[name] = None
        else:
            item = kind(reader, name, value)
            if item is not None and (default is REQUIRED or isinstance(item, (list, dict))
                                     or default is None or item not in QUIET):
                got[name] = item
    return got


def rules_between_fields(command, got):
    if command == "QUERY" and got["what"] in ("status", "why", "tree", "result", "letter"):
        if "argument" not in got:
            raise Wrong("argument")
    if command != "SUBMIT":
        return
    if "join" not in got and got["service"] == "":
        raise Wrong("service")
    if "parent" in got and "parent_attempt" not in got:
        raise Wrong("parent_attempt")
    if "parent_attempt" in got and "parent" not in got:
        raise Wrong("parent")
    if "cache_ms" in got and "idempotency_key" not in got:
        raise Wrong("idempotency_key")
    rules_of_joins(got)


def rules_of_joins(got):
    join, needs = got.get("join"), got.get("needs")
    if join and needs is None:
        raise Wrong("needs")
    if not join and (needs is not None or "run_if" in got or "inputs" in got):
        raise Wrong("join")
    if join and "route" in got:
        raise Wrong("route")
    if join == "any" and not needs:
        raise Wrong("needs")
    if ("k" in got) != (join == "k") or got.get("k", 0) > len(needs or []):
        raise Wrong("k")


# Bytes to arrays.


class Broken(Exception):
    """The rest of the batch cannot be read."""

    def __init__(self, command=0, task=None):
        super().__init__(command)
        self.command, self.task = command, task


class Pairs:
    """A map as it stood: keys may be given twice, or be no str."""

    def __init__(self, pairs):
        self.pairs = pairs


def depth(value):
    if isinstance(value, Pairs):
        return 1 + max([depth(item) for pair in value.pairs for item in pair], default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def unpacker(data):
    return msgpack.Unpacker(io.BytesIO(data), raw=False, unicode_errors="surrogateescape",
                            strict_map_key=False, object_pairs_hook=Pairs,
                            max_buffer_size=32 * MIB)


def partial_head(data):
    """The code, and the task's id, of a command that is cut off."""
    stream, found = unpacker(data), []
    try:
        count = stream.read_array_header()
        while len(found) < min(count, 2):
            found.append(stream.unpack())
    except Exception:
        pass
    code = found[0] if found and type(found[0]) is int else 0
    task = found[1].hex() if len(found) > 1 and isinstance(found[1], bytes) else None
    return code, task if code not in (0, 1) else None


def arrays(data):
    """Each top-level array of `data`, ids in a wrong form marked."""
    at = 0
    while at < len(data):
        stream = unpacker(data[at:])
        try:
            value = stream.unpack()
        except Exception:
            raise Broken(*partial_head(data[at:])) from None
        if not isinstance(value, list):
            raise Broken()
        chunk = data[at:at + stream.tell()]
        at += len(chunk)
        yield mark_ids(value, chunk)


def mark_ids(value, chunk):
    """msgpack does not tell bin 8 from bin 16: look for the latter in the bytes."""
    if isinstance(value, list):
        return [mark_ids(item, chunk) for item in value]
    if isinstance(value, Pairs):
        return Pairs([(key, mark_ids(item, chunk)) for key, item in value.pairs])
    if isinstance(value, bytes) and len(value) == 16 and b"\xc4\x10" + value not in chunk:
        return NotAnId(value)
    return value


def read_batch(data, frames, to):
    """Meanings and errors, in the form of the vectors."""
    results, named = [], set()
    commands = arrays(data)
    while True:
        try:
            array = next(commands)
        except StopIteration:
            return results
        except Broken as broken:
            error = {"code": "bad_message", "field": "batch", "command": broken.command}
            if broken.task:
                error["id"] = broken.task
            return results + [{"error": error}]
        results.append(read_command(array, frames, named, to))


def read_command(array, frames, named, to):
    reader, code = Reader({}, frames, named), 0
    try:
        if not array or type(array[0]) is not int or array[0] < 0:
            raise Wrong("command")
        code = array[0]
        if len(array) > 32:
            raise Wrong("command", "too_large")
        if code not in COMMANDS[to]:
            raise Wrong("command", "unsupported")
        name, table = COMMANDS[to][code]
        fields(reader, array[1:], table)
        rules_between_fields(name, reader.got)
        if any(depth(item) > DEPTH_MAX - 1 for item in array):
            raise Wrong("command", "too_large")
        return {"command": name, "meaning": reader.got}
    except Wrong as wrong:
        error = {"code": wrong.why, "field": wrong.field, "command": code}
        if reader.got.get("id"):
            error["id"] = reader.got["id"]
        return {"error": error}


def without(entry):
    return {key: entry[key] for key in ("command", "meaning", "error") if key in entry}


def check(vector):
    frames = [bytes.fromhex(frame) for frame in vector.get("frames", [])]
    wanted = [without(entry) for entry in vector.get("each", [vector])]
    got = read_batch(bytes.fromhex(vector["hex"]), frames, vector["to"])
    if got != wanted:
        print(f"#  is        {json.dumps(got)}\n#  should be {json.dumps(wanted)}")
    return got == wanted


def main():
    failed = 0
    for path in sorted(VECTORS.glob("*.json")):
        for vector in json.loads(path.read_text()):
            good = check(vector)
            failed += not good
            print("ok" if good else "not ok", f"- {path.stem}: {vector['name']}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
