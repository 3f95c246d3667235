"""How far do two plugins in shadow move the reply?

One waits for 20 ms and one computes for 1 ms: two servers, one with them, are sent mail in turn by one client, which takes the time
from the end of data to the reply.
"""

import statistics
import time

from support.server import Server, server

IN_SHADOW = {
    "waits": "async def inspect_message():\n    await asyncio.sleep(0.02)\n",
    "computes": "def inspect_message():\n    end = time.thread_time() + 0.001\n    while time.thread_time() < end:\n        pass\n",
}
HEAD = (
    'import asyncio, time\nfrom mailward.api import Plugin, hookimpl\nplugin = Plugin(api=1, summary="In shadow")\n\n@hookimpl\n'
)
TURNS, MESSAGES = 10, 100
MOVES_LESS = 5
"""Percent, of the 95th percentile of the reply."""


def run(rounds: int) -> None:
    """Print how far the reply's 95th percentile moves with two plugins in shadow; each turn is a pair."""
    moved, alone_ms = [], []
    plain = "version: 1\nplugins: {}\n"
    watched = "version: 1\nplugins: {waits: {mode: shadow}, computes: {mode: shadow}}\n"
    with server(policy=plain) as alone, server(policy=watched, start=False) as with_it:
        for name, text in IN_SHADOW.items():
            (with_it.folder / f"plugins/{name}.py").write_text(HEAD + text)
        with_it.start()
        for side in (alone, with_it):
            _replies_s(side)
        for turn in range(rounds * TURNS):
            sides = (alone, with_it) if turn % 2 == 0 else (with_it, alone)
            found = {side.offset: statistics.quantiles(_replies_s(side), n=20)[-1] for side in sides}
            moved.append((found[with_it.offset] / found[alone.offset] - 1) * 100)
            alone_ms.append(found[alone.offset] * 1000)
    low, middle, high = statistics.quantiles(moved, n=4)
    print(
        f"reply, 95th percentile {statistics.median(alone_ms):10.2f} ms; with two plugins in shadow {middle:+.1f} % "
        f"[{low:+.1f} to {high:+.1f}]  (aim: below {MOVES_LESS})"
    )


def _replies_s(side: Server) -> list[float]:
    """From the end of data to the reply, of some messages of one session."""
    took = []
    with side.smtp() as client:
        client.ehlo()
        for number in range(MESSAGES):
            client.mail("sender@sender.invalid")
            client.rcpt(side.demo)
            client.docmd("DATA")
            octets = b"From: a@example.net\r\nSubject: %d\r\n\r\n%b.\r\n" % (number, b"text\r\n" * 100)
            before = time.perf_counter()
            client.send(octets)
            code, text = client.getreply()
            took.append(time.perf_counter() - before)
            if code != 250:
                raise RuntimeError(f"{code} {text!r}")
    return took
