#!/usr/bin/python3
"""Writes seeds made from what the repository holds: tests/fuzz/seeds.py NAME DIR.

For the fuzzers whose input has a form: the vectors of the protocol for `codec`, the schemas of
the tests for `schema`, files and keys for `config`, documents for `extract`; nothing for others.
tests/fuzz/corpus holds only what adds to these.
"""
import glob
import hashlib
import json
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def read(path, mode="rb"):
    with open(path, mode) as file:
        return file.read()


def frame(content):
    """As fuzz_codec.c takes it: a frame up to 127 bytes, or a large one of its first byte."""
    if len(content) < 128:
        return bytes([len(content)]) + content
    return bytes([min(255, 127 + (len(content) + 127) // 128)])


def codec():
    for path in glob.glob(ROOT + "/proto/vectors/*.json"):
        for vector in json.loads(read(path)):
            frames = [bytes.fromhex(f) for f in vector.get("frames", [])][:7]
            head = (vector["to"] == "peer") + 2 * len(frames)
            yield bytes([head]) + b"".join(map(frame, frames)) + bytes.fromhex(vector["hex"])


def c_strings(text):
    """The string literals of a C file, neighbours joined."""
    for run in re.findall(r'(?:"(?:[^"\\\n]|\\.)*"\s*)+', text):
        pieces = re.findall(r'"((?:[^"\\\n]|\\.)*)"', run)
        yield "".join(pieces).encode().decode("unicode_escape").encode("latin-1", "replace")


def schema():
    strings = list(c_strings(read(ROOT + "/tests/unit/test_schema.c", "r")))
    schemas = [s for s in strings if s.startswith(b"{")]
    values = [s for s in strings if s[:1] in b'{["0123456789-tfn' and s]
    for number, text in enumerate(schemas):
        yield text + b"\0" + values[number % len(values)]
        yield text + b"\0" + b'{"a":1,"b":[1,"x",null],"c":{"d":1.5}}'


def config():
    for path in glob.glob(ROOT + "/docs/*.md") + glob.glob(ROOT + "/tests/unit/test_config.c"):
        text = read(path, "r")
        blocks = c_strings(text) if path.endswith(".c") else (
            b.encode() for b in re.findall(r"```\w*\n(.*?)```", text, re.S))
        for block in blocks:
            if b"=" in block and len(block) < 2000:
                yield block
    keys = re.findall(r'\{"(\w+)", "(\w+)"', read(ROOT + "/broker/shell/setting.c", "r"))
    for section, key in keys:
        yield ("%s\n    %s = 10\n" % (section, key)).encode()


def cron():
    for text in c_strings(read(ROOT + "/tests/unit/test_cron_expression.c", "r")):
        if text.count(b" ") >= 4 or text.startswith(b"@"):
            # A time shortly before Berlin's clocks are set, in 2027.
            yield (1806195000).to_bytes(8, "little") + b"\1" + text


def extract():
    kinds = {".md": 1, ".html": 2, ".1": 3, ".7": 3, ".3": 3}
    for folder, _, names in os.walk(ROOT + "/tests/unit/fixtures"):
        for name in names:
            kind = kinds.get(os.path.splitext(name)[1], 0)
            yield bytes([kind]) + read(os.path.join(folder, name))[:4000]
    for text in c_strings(read(ROOT + "/tests/unit/test_retriever_readers.c", "r")):
        if len(text) > 20:
            for kind in range(4):
                yield bytes([kind]) + text


def main(name, folder):
    os.makedirs(folder, exist_ok=True)
    makers = {"codec": codec, "schema": schema, "config": config, "extract": extract, "cron": cron}
    for seed in makers[name]() if name in makers else ():
        with open(os.path.join(folder, hashlib.sha1(seed).hexdigest()), "wb") as file:
            file.write(seed)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
