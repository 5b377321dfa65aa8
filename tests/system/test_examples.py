#!/usr/bin/python3
"""agents/examples against a real broker: what came out, and how long it took on the broker's clock."""
import json
import os
import sys

import msgpack

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sluice_test import BUILD, Broker, Peer, Process, case, check, equal, main, run  # noqa: E402

EXAMPLES = os.path.join(BUILD, "examples")


def results(output):
    """The objects among the lines; a sanitizer says a word of its own first."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def example(broker, name, *options):
    """What `name` printed, an object a line; it must have ended well."""
    status, output = run([os.path.join(EXAMPLES, name), "--broker", broker.endpoint, *options],
                         seconds=60)
    equal(status, 0, "exit status (%s)" % output)
    return results(output)


@case("weather: five look-ups take as long as one of them")
def _():
    with Broker() as broker:
        together, one_by_one = example(broker, "weather")
    for report in (together, one_by_one):
        equal(report["outcome"], "done")
        equal(report["result"]["missing"], 0)
        equal([f["city"] for f in report["result"]["forecasts"]],
              ["Oslo", "Lisbon", "Cairo", "Lima", "Osaka"])
    check(together["ran_ms"] >= 1000, "five look-ups of a second took %d ms" % together["ran_ms"])
    check(one_by_one["ran_ms"] >= 5000, "one by one %d ms" % one_by_one["ran_ms"])
    check(together["ran_ms"] * 2 < one_by_one["ran_ms"],
          "together %d ms, one by one %d ms" % (together["ran_ms"], one_by_one["ran_ms"]))


@case("weather: who serves and who asks may be two processes")
def _():
    with Broker() as broker:
        asking = Process([os.path.join(EXAMPLES, "weather"), "--ask", "--ms", "10", "--broker",
                          broker.endpoint])
        broker.wait_line("peer_connected")
        with asking, Process([os.path.join(EXAMPLES, "weather"), "--serve", "--ms", "10",
                              "--broker", broker.endpoint]):
            equal(asking.wait_exit(30), 0, "exit status")
            equal([result["outcome"] for result in results(asking.output())],
                  ["done", "done"])


@case("providers: the first answer wins, and the losers have stopped")
def _():
    with Broker() as broker:
        (first,) = example(broker, "providers", "--ms", "300")
    equal(first["outcome"], "done")
    equal(first["result"], {"answer": {"provider": "quick"}, "begun": 3, "finished": 1,
                            "stopped": 2})
    check(first["ran_ms"] < 3000, "the slow one takes 3 s, the first of three %d ms" %
          first["ran_ms"])


@case("assistant: the mail is read while calendar and records are asked")
def _():
    with Broker() as broker:
        (brief,) = example(broker, "assistant", "--ms", "4000")
    equal(brief["outcome"], "done")
    equal(brief["result"]["customer"]["contract"], "support, yearly")
    equal(brief["result"]["mail"]["asks_for_thursday"], True)
    equal(len(brief["result"]["calendar"]["busy"]), 2)
    check(4000 <= brief["ran_ms"], "the calendar takes 4 s, all of it %d ms" % brief["ran_ms"])
    check(brief["ran_ms"] < 4000 + 3200, "one after the other would take 7,200 ms, it took %d ms" %
          brief["ran_ms"])


@case("conversation: it goes on while a task runs in the background, and is heard in order")
def _():
    with Broker() as broker:
        (talk,) = example(broker, "conversation", "--ms", "3000")
    equal(talk["outcome"], "done")
    equal(talk["result"]["transcript"],
          ["user: research tides", "assistant: I have begun. Ask me anything meanwhile.",
           "user: nice weather", "assistant: I see.",
           "user: how is it?", "assistant: it is leased",
           "user: what is going on?", "assistant: 1 in the background",
           "function: research has come back",
           "user: and?", "assistant: tides: 12 sources"])
    check(3000 <= talk["ran_ms"] < 6000, "the task takes 3 s, all of it %d ms" % talk["ran_ms"])


@case("conversation: there is one at a time, and somebody may go on when it is over")
def _():
    # What is freed is overwritten, so that who looks at it sees so.
    environment = {"MALLOC_PERTURB_": "165"}
    with Broker() as broker, Peer(broker) as peer, \
            Process([os.path.join(EXAMPLES, "conversation"), "--serve", "--ms", "10", "--broker",
                     broker.endpoint], environment) as serving:
        def submit(service, **arguments):
            return peer.submit(service, msgpack.packb(arguments), if_absent="wait")

        def done(task):
            result = peer.result(task)
            equal(result.outcome, "done", "outcome (%s)" % (result.body,))
            return msgpack.unpackb(result.body)

        done(submit("example.hear", user="and?"))  # before there is one
        first, second = [submit("example.conversation") for _ in range(2)]
        equal(peer.result(second).body["code"], "busy")
        talk = done(first)["transcript"]
        equal((len(talk), talk[-1]), (11, "assistant: tides: 12 sources"))
        for said in {"user": "and?"}, {"result": {"topic": "x", "sources": 1}}, {"user": "and?"}:
            done(submit("example.hear", **said))
        check(serving.running(), "it ended:\n" + serving.output())


@case("tokens: a stream through two agents loses nothing, and its writer is never far ahead")
def _():
    with Broker() as broker:
        (stream,) = example(broker, "tokens")
    equal(stream["outcome"], "done")
    equal((stream["result"]["tokens"], stream["result"]["lost"]), (3000, 0))
    check(stream["result"]["begins"].startswith("HIGH WATER COMES TWICE A DAY"), "in capitals")
    check(stream["result"]["first_ms"] < stream["ran_ms"] / 2, "the first token comes early")
    # Two streams of 256 chunks each, and what is in the agents' own hands.
    check(stream["result"]["ahead_most"] < 600, "ahead by %d" % stream["result"]["ahead_most"])


@case("quota: ten calls at once, a breaker that opens and closes, and nothing is lost")
def _():
    with Broker() as broker:
        (calls,) = example(broker, "quota")
        broker.wait_line("state=open cause=failures code=http_503")
        broker.wait_line("state=closed")
    equal(calls["outcome"], "done")
    equal((calls["result"]["done"], calls["result"]["at_once"]), (60, 10))
    check(calls["result"]["failed"] >= 5, "the API failed %d calls" % calls["result"]["failed"])
    # The broker's 500 ms, by the clock of the agent's loop, which stands still for a turn.
    check(calls["result"]["silent_ms"] >= 450, "it was left alone for %d ms, not for 500" %
          calls["result"]["silent_ms"])
    check(calls["ran_ms"] >= 500, "all of it took %d ms" % calls["ran_ms"])


@case("orders: a failing branch declines and stops the rest, a slow one is done without")
def _():
    with Broker() as broker:
        whole, declined, late = example(broker, "orders", "--ms", "2000")
    equal([o["outcome"] for o in (whole, declined, late)], ["done"] * 3)
    equal(whole["result"]["state"], "finalised")
    equal(whole["result"]["order"]["total_cents"], 12000 - 1200 + 450)
    check(whole["ran_ms"] >= 2000, "shipping takes 2 s, all of it %d ms" % whole["ran_ms"])
    equal(declined["result"], {"state": "declined", "why": "out_of_stock"})
    check(declined["ran_ms"] < whole["ran_ms"], "declined after %d ms, a whole one takes %d" %
          (declined["ran_ms"], whole["ran_ms"]))
    equal(late["result"]["order"]["shipping"], {"cents": 990, "by": "post"})
    check(4000 <= late["ran_ms"] < 60000, "the quote's deadline is 4 s, the order took %d ms" %
          late["ran_ms"])


@case("an example without a broker says what to do")
def _():
    status, output = run([os.path.join(EXAMPLES, "weather"), "--broker", "tcp://127.0.0.1:1"],
                         seconds=30)
    equal(status, 1, "exit status")
    check("sluice-broker" in output, output)


main()
