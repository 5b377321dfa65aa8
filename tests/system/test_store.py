#!/usr/bin/python3
"""The database of durable tasks without its broker: looked at, taken out, put in again."""
import hashlib
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import (ACCEPTED, CHECKPOINT, CONTROL, ERROR, REPLY, Broker, Deadline, DurableBroker,
                         Peer, case, check, equal, main, program, quiet, run, skip,
                         sluice)


def store(*arguments, status=0, **more):
    """`sluice store ...`: what it printed, and what it said on standard error."""
    done = subprocess.run([program("sluice"), "store", *arguments], timeout=60,
                          capture_output=True, text=True, check=False, **more)
    equal(done.returncode, status, "exit status, which came with " + done.stdout + done.stderr)
    return done.stdout, quiet(done.stderr)


def files(broker):
    """What every file of the broker's directory is, byte for byte."""
    found = {}
    for name in os.listdir(broker.directory):
        with open(os.path.join(broker.directory, name), "rb") as file:
            found[name] = hashlib.sha256(file.read()).hexdigest()
    return found


def fill(broker):
    """Tasks that wait, one that runs, some that have ended well and badly; large ones, too."""
    with Peer(broker, "asker") as asker, Peer(broker, "worker") as worker:
        worker.offer("work", 1)
        sent = []
        for number in range(20):
            payload = bytes([0xa0 + number]) + b"n" * number if number < 16 else b"x" * 20000
            sent.append(asker.submit("work", payload, durable=True, detached=True, receipts=True,
                                     priority=9 - number // 3, order="one"))
        for _ in sent:
            asker.wait(ACCEPTED)
        for number in range(8):
            task = worker.task()
            if number % 4 == 3:
                worker.fail(task, "broken", "It fell apart.")
            else:
                worker.done(task, b"\xc3" if number % 2 else b"y" * 30000)
            asker.result(sent[number])
        task = worker.task()
        worker.send([CHECKPOINT, bytes(task[1]), task[2], b"\xa4half"])
        deadline = Deadline(10)
        while worker.query("stats")["unsafe_bytes"] > 0:  # nobody is told that it is safe
            check(not deadline.passed(), "the checkpoint does not get to the disk")
        return sent


@case("a store that was killed is good, and is as it was after it was looked at")
def _():
    with DurableBroker(expect_exit=True) as broker:
        fill(broker)
        broker.kill()
        before = files(broker)
        check(before["tasks.db-wal"] != hashlib.sha256(b"").hexdigest(), "no log was left")
        said, _ = store("check", broker.path)
        check(said.startswith("good: 20 rows, 8 of them ended"), said)
        report = json.loads(store("check", broker.path, "--json")[0])
        equal((report["good"], report["rows"], report["ended"], report["damage"]),
              (True, 20, 8, []))
        stats = json.loads(store("stats", broker.path, "--json")[0])
        equal((stats["waiting"], stats["services"]["work"]["waiting"], stats["outcomes"]),
              (12, 12, {"done": 6, "failed": 2}))
        check("work" in store("stats", broker.path)[0], "the service is not named")
        rows = [json.loads(line) for line in store("export", broker.path)[0].splitlines()]
        oldest = min(row["accepted_unix_ms"] for row in rows if "outcome" not in row)
        least = int(time.time() * 1000) - oldest
        age = json.loads(store("stats", broker.path, "--json")[0])["oldest_age_ms"]
        check(least <= age <= int(time.time() * 1000) - oldest, "%d, or more: %d" % (least, age))
        equal(len(rows), 20)
        equal(files(broker), before, "the files")
        broker.restart()
        equal(broker.stop(), 0)
        before = files(broker)
        store("check", broker.path)
        equal(files(broker), before, "the files of a store that was closed")


@case("export, import and export give the same lines, and a broker goes on with them")
def _():
    with DurableBroker(expect_exit=True) as broker:
        sent = fill(broker)
        broker.kill()
        lines = os.path.join(broker.directory, "lines")
        said, _ = store("export", broker.path, lines)
        equal(said, "20 rows\n")
        equal(os.stat(lines).st_mode & 0o777, 0o600, "mode of what has payloads in it")
        with open(lines, encoding="utf-8") as file:
            first = file.read()
        rows = [json.loads(line) for line in first.splitlines()]
        equal(rows[3]["payload"], "nnn")
        equal(rows[19]["payload"].keys(), {"$raw": 0}.keys())
        equal(rows[3]["outcome"]["error"]["code"], "broken")
        equal([row.get("checkpoint") for row in rows if "checkpoint" in row], ["half"])
        copy = os.path.join(broker.directory, "copy.db")
        equal(store("import", copy, lines)[0], copy + ": 20 rows\n")
        equal(os.stat(copy).st_mode & 0o777, 0o600, "mode of the store")
        equal(store("export", copy)[0], first)
        store("check", copy)
        # Through a pipe, and onto a file that is empty.
        other = os.path.join(broker.directory, "other.db")
        with open(other, "w", encoding="utf-8"):
            pass
        store("import", other, input=first)
        equal(store("export", other)[0], first)
        equal(sorted(n for n in os.listdir(broker.directory) if "import" in n or "part" in n), [])
        # The broker on the copy knows all of it, and its keys go on.
        broker.options[broker.options.index(broker.path)] = copy
        broker.restart()
        with Peer(broker, "worker") as worker, Peer(broker, "asker") as asker:
            worker.offer("work", 1)
            task = worker.task()
            equal(bytes(task[1]), sent[8])
            task = asker.submit("work", b"new", durable=True, detached=True, receipts=True)
            asker.wait(ACCEPTED)
        broker.kill()
        rows = [json.loads(line) for line in store("export", copy)[0].splitlines()]
        equal(len(rows), 21)
        check(rows[-1]["key"] > rows[-2]["key"], "keys")


@case("a line that is wrong is named, and then there is no store")
def _():
    with DurableBroker(expect_exit=True) as broker:
        fill(broker)
        broker.kill()
        lines = store("export", broker.path)[0].splitlines()
        new = os.path.join(broker.directory, "new.db")

        def refused(changed, why):
            _, said = store("import", new, input="\n".join(changed) + "\n", status=1)
            check(why in said, "%r is not in %r" % (why, said))
            equal([name for name in os.listdir(broker.directory) if name.startswith("new")], [])

        refused(lines[:5] + ["{"] + lines[6:], "line 6: no JSON")
        refused(lines[:5] + [""] + lines[6:], "line 6: no JSON")
        refused(lines[:5] + lines[4:], "line 6: `key` must be greater")
        refused(lines[:7] + [lines[7].replace('"priority":', '"priory":')] + lines[8:],
                "line 8: `priory` is unknown")
        refused([lines[0][:-20]] + lines[1:], "line 1: no JSON")
        before = files(broker)
        for path, why in ((broker.path, "is there already"), (broker.directory, "is there already"),
                          (os.path.join(broker.directory, "no", "x.db"), "cannot make")):
            _, said = store("import", path, input=lines[0] + "\n", status=1 if "no/" in path else 2)
            check(why in said, said)
        equal(files(broker), before)


@case("an export writes over nothing, least of all over a store")
def _():
    with DurableBroker(expect_exit=True) as broker:
        fill(broker)
        broker.kill()
        before = files(broker)
        for there in broker.path, broker.path + "-wal", __file__:
            said = store("export", broker.path, there, status=2)
            check("%s is there already: move it away" % there in said[1], said)
        said = store("export", broker.path, broker.path + "-journal", status=2)
        check("is where the store keeps its log" in said[1], said)
        equal(files(broker), before, "the files of the store")


@case("an export that finds no room leaves nothing, and says why")
def _():
    with DurableBroker(expect_exit=True) as broker:
        fill(broker)
        broker.kill()
        lines = os.path.join(broker.directory, "lines")
        with open(lines + ".part", "w", encoding="utf-8") as file:
            file.write("somebody's")
        room = len(store("export", broker.path)[0]) // 2
        said = store("export", broker.path, lines, status=1, restore_signals=False,
                     preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)))
        check("cannot write %s: File too large" % lines in said[1], said)
        equal(said[0], "", "rows that were told")
        equal([name for name in os.listdir(broker.directory) if "lines" in name], ["lines.part"])
        with open(lines + ".part", encoding="utf-8") as file:
            equal(file.read(), "somebody's")


@case("what is damaged is named, left out, and left alone")
def _():
    with DurableBroker(expect_exit=True) as broker:
        fill(broker)
        equal(broker.stop(), 0)
        database = sqlite3.connect(broker.path)
        keys = [row[0] for row in database.execute("SELECT key FROM task ORDER BY key")]
        task = bytearray(database.execute("SELECT task FROM task WHERE key = ?", (keys[4],)).fetchone()[0])
        task[40] ^= 1
        database.execute("UPDATE task SET task = ? WHERE key = ?", (bytes(task), keys[4]))
        database.execute("DELETE FROM payload WHERE key = ? AND part = 0", (keys[18],))
        database.execute("INSERT INTO payload VALUES (?, 0, zeroblob(10000))", (keys[-1] + 7,))
        database.execute("INSERT INTO damaged (key, why, task) VALUES (3, 'old', zeroblob(100))")
        database.commit()
        database.close()
        before = files(broker)
        said, _ = store("check", broker.path, status=1)
        for line in ("row %d: a checksum is wrong" % keys[4],
                     "row %d: a payload is missing" % keys[18], "damaged: 18 rows",
                     "set aside: 1 damaged rows", "left over: 1 payloads"):
            check(line in said, "%r is not in %r" % (line, said))
        report = json.loads(store("check", broker.path, "--json", status=1)[0])
        equal((report["good"], report["damaged"], report["orphans"], report["set_aside"]),
              (False, 2, 1, 1))
        out, said = store("export", broker.path, status=1)
        equal(len(out.splitlines()), 18)
        check("row %d is left out" % keys[4] in said and "18 rows; left out, damaged: 2" in said,
              said)
        store("stats", broker.path, status=1)
        equal({name: sha for name, sha in files(broker).items() if not name.endswith("-shm")},
              {name: sha for name, sha in before.items() if not name.endswith("-shm")})
        # Pages that SQLite finds wrong.
        size = os.path.getsize(broker.path)
        with open(broker.path, "r+b") as file:
            file.seek(size // 4096 // 2 * 4096)
            file.write(b"\xff" * 4096)
        said, _ = store("check", broker.path, status=1)
        check("file: " in said, said)


@case("a backup of a broker at work is good, and another broker goes on with it")
def _():
    with DurableBroker() as broker, Peer(broker, "asker") as asker:
        sent = fill(broker)
        path = sluice(broker, "backup").strip()
        equal(os.path.dirname(path), broker.directory)
        equal(os.stat(path).st_mode & 0o777, 0o600, "mode")
        later = asker.submit("work", b"later", durable=True, detached=True, receipts=True)
        asker.wait(ACCEPTED)
        report = json.loads(store("check", path, "--json")[0])
        equal((report["good"], report["rows"], report["ended"]), (True, 20, 8))
        broker.wait_line("backup_done path=" + path)
        asker.send([CONTROL, 5, "backup", {}])
        reply = asker.wait(REPLY)
        check(reply[2] and reply[3]["bytes"] == os.path.getsize(reply[3]["path"]), reply)
        with Broker("--store", path) as other, Peer(other, "worker") as worker:
            worker.offer("work", 30)
            equal(bytes(worker.task()[1]), sent[8])
            status = sluice(other, "status", str(uuid.UUID(bytes=bytes(later))), status=1)
            check("not_found" in status or "no such task" in status, status)
    with Broker() as broker:
        check("unsupported" in sluice(broker, "backup", status=1), "without a store")


@case("backups go where the operator said, and nowhere else")
def _():
    folder = tempfile.mkdtemp(prefix="sluice-test-")
    try:
        with DurableBroker("--backups", folder) as broker, Peer(broker, "asker") as asker:
            equal(os.path.dirname(sluice(broker, "backup").strip()), folder)
            asker.send([CONTROL, 5, "backup", {"path": "/tmp/x", "service": "../../x"}])
            asker.wait(ERROR)  # no such service name
            asker.send([CONTROL, 6, "backup", {"path": "/tmp/sluice-elsewhere"}])
            reply = asker.wait(REPLY)
            equal(os.path.dirname(reply[3]["path"]), folder)
            for _ in range(14):
                asker.send([CONTROL, 7, "backup", {}])
                reply = asker.wait(REPLY)
                check(reply[2], reply)
            said = sluice(broker, "backup", status=1)
            check("there are 16 backups already" in said, said)
            equal(len(os.listdir(folder)), 16)
    finally:
        shutil.rmtree(folder)


@case("a folder for backups that is not there is told at the start")
def _():
    with DurableBroker("--backups", "/nonexistent/backups") as broker:
        line = broker.wait_line("backups_unusable")
        check("folder=/nonexistent/backups error=" in line, line)
        check("No such file" in sluice(broker, "backup", status=1), "and when one is made")
    status, said = run([program("sluice-broker"), "--endpoint", "tcp://127.0.0.1:*", "--backups", "/tmp"])
    check(status == 2 and "backups are of a store" in said, said)


@case("a store behind a symbolic link is one, with its log")
def _():
    with DurableBroker(expect_exit=True) as broker:
        real = os.path.join(broker.directory, "real")
        os.mkdir(real)
        link = broker.path + "-link"
        broker.stop()
        os.rename(broker.path, os.path.join(real, "tasks.db"))
        os.symlink(os.path.join(real, "tasks.db"), link)
        broker.options[broker.options.index(broker.path)] = link
        broker.restart()
        fill(broker)
        broker.kill()
        check(os.path.getsize(os.path.join(real, "tasks.db-wal")) > 0, "no log was left")
        lines, _ = store("export", link)
        equal(len(lines.splitlines()), 20, "rows")
        check(os.path.getsize(os.path.join(real, "tasks.db-wal")) > 0, "reading has copied the log")
        store("compact", link)
        equal(os.path.islink(link), True, "it was a link")
        equal(store("export", link)[0], lines)
        equal(sorted(os.listdir(real)), ["tasks.db"])


@case("a store that is damaged is not made smaller: a broker mends it first")
def _():
    with DurableBroker(expect_exit=True) as broker:
        fill(broker)
        equal(broker.stop(), 0)
        with open(broker.path, "r+b") as file:  # a leaf that is none
            data = file.read()
            page = next(at for at in range(6 * 4096, len(data), 4096) if data[at] == 0x0d)
            file.seek(page)
            file.write(b"\x00")
        before = files(broker)
        said = store("compact", broker.path, status=2)
        check("start a broker with it once" in said[1], said)
        equal(files(broker), before, "the files of the store")


@case("a store that is made smaller stays its owner's")
def _():
    if os.geteuid() != 0:
        skip("only root can give files away")
    with DurableBroker(expect_exit=True) as broker:
        fill(broker)
        broker.kill()
        os.chown(broker.path, 65534, 65534)
        store("compact", broker.path)
        equal((os.stat(broker.path).st_uid, os.stat(broker.path).st_gid), (65534, 65534))


@case("keys that no broker could go on from are no keys")
def _():
    with DurableBroker(expect_exit=True) as broker:
        fill(broker)
        broker.kill()
        row = json.loads(store("export", broker.path)[0].splitlines()[0])
        copy = os.path.join(broker.directory, "copy.db")
        for key in 2 ** 63 - 1, 2 ** 63 - 2 ** 40 - 1:
            said = store("import", copy, input=json.dumps(dict(row, key=key)) + "\n", status=1)
            check("`key` must be" in said[1], said)
        key = 2 ** 63 - 2 ** 61
        store("import", copy, input=json.dumps(dict(row, key=key)) + "\n")
        broker.options[broker.options.index(broker.path)] = copy
        broker.restart()
        with Peer(broker, "asker") as asker:
            asker.submit("work", b"x", durable=True, detached=True, receipts=True, if_absent="wait")
            asker.wait(ACCEPTED)


@case("a broker that refuses its store has changed nothing in it")
def _():
    with DurableBroker(expect_exit=True) as broker, Peer(broker, "asker") as asker:
        needs = [asker.submit(name, b"x", durable=True, detached=True, receipts=True,
                              if_absent="wait") for name in ("a", "b")]
        join = asker.submit("a", b"x", durable=True, detached=True, receipts=True,
                            if_absent="wait", join="all", needs=needs[1:])
        for _ in range(3):
            asker.wait(ACCEPTED)
        broker.kill()
        before = store("export", broker.path)[0]
        equal([json.loads(line)["service"] for line in before.splitlines()], ["a", "b", "a"])
        done = subprocess.run([program("sluice-broker"), "--endpoint", "tcp://127.0.0.1:*",
                               "--store", broker.path, "--max-services", "1"], timeout=30,
                              capture_output=True, text=True, check=False)
        check(done.returncode != 0, done.stderr)
        equal(store("export", broker.path)[0], before)
        broker.restart()
        with Peer(broker, "worker") as worker:
            state = worker.query("status", join)
            equal(state["state"], "waiting", state)


@case("a store is made as small as what is in it")
def _():
    with DurableBroker(expect_exit=True) as broker:
        fill(broker)
        broker.kill()
        lines = store("export", broker.path)[0]
        # Free pages, as after a day with many more tasks.
        database = sqlite3.connect(broker.path)
        database.execute("CREATE TABLE day (body)")
        database.executemany("INSERT INTO day VALUES (zeroblob(?))", [(100000,)] * 50)
        database.execute("DROP TABLE day")
        database.commit()
        database.close()
        large = os.path.getsize(broker.path)
        said = json.loads(store("compact", broker.path, "--json")[0])
        check(said["before_bytes"] > 5000000 > 1000000 > said["bytes"], said)
        check(os.path.getsize(broker.path) == said["bytes"] < large, "the file is as large as it was")
        equal(os.stat(broker.path).st_mode & 0o777, 0o600, "mode")
        equal(sorted(os.listdir(broker.directory)), ["tasks.db"])
        equal(store("export", broker.path)[0], lines)
        check(store("check", broker.path)[0].startswith("good: 20 rows"), "it is not good")
        broker.restart()
        _, said = store("compact", broker.path, status=2)
        check("is in use" in said, said)
        _, said = store("compact", broker.path + "x", status=2)
        check("there is no store" in said, said)
        equal(broker.stop(), 0)


@case("no store, another's, one in use: said with what to do, and nothing is made")
def _():
    with DurableBroker() as broker:
        _, said = store("check", broker.path, status=2)
        check("is in use: stop the broker" in said, said)
        for word in ("check", "stats", "export"):
            _, said = store(word, os.path.join(broker.directory, "none.db"), status=2)
            check("there is no store" in said, said)
        check(not os.path.exists(os.path.join(broker.directory, "none.db")), "it was made")
        strange = os.path.join(broker.directory, "letter")
        with open(strange, "w", encoding="utf-8") as file:
            file.write("Dear Ann, " * 1000)
        _, said = store("export", strange, status=2)
        check("is no store" in said, said)
        other = os.path.join(broker.directory, "songs.db")
        database = sqlite3.connect(other)
        database.execute("CREATE TABLE song (name)")
        database.commit()
        database.close()
        _, said = store("check", other, status=2)
        check("another program" in said, said)
        database = sqlite3.connect(os.path.join(broker.directory, "new.db"))
        database.execute("PRAGMA application_id = 0x736c7563")
        database.execute("PRAGMA user_version = 77")
        database.commit()
        database.close()
        _, said = store("check", os.path.join(broker.directory, "new.db"), status=2)
        check("has version 77" in said, said)
        for words in (("look", "x"), ("check",), ("check", "a", "b"), ("stats", "a", "b")):
            store(*words, status=2)


main()
