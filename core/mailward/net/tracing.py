"""Traces of SMTP connections while they happen, for `mailward trace`: both sides of the same few calls over a local socket.

begin   {"network", "listener", "seconds"}   ->  {"trace"}
more    {"trace"}                            ->  {"entries": [[at, session, peer, listener, who, text], ...], "missed", "is_over"}

Only connections that begin after the trace are in it. A trace ends by its time, and when nobody asks for more for a while; what
nobody fetches in time is dropped and counted, so that a reader who stops reading costs mail nothing.
"""

import asyncio
import contextlib
import ipaddress
import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any, cast

from mailward.formats.network import Network
from mailward.model.decision import utc_text
from mailward.model.errors import MailwardError
from mailward.net.local import LocalServer, Refusal, Values, call_once

MOST_ENTRIES = 5000
MOST_TRACES = 8
MOST_AT_ONCE = 500
"""Entries of one answer."""
FORGOTTEN_S = 10.0
"""A trace for which nobody asks so long is over."""
_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Entry:
    """Something on one connection. at: ISO 8601 in UTC. who: "C" for the client, "S" for the server, "*" for what is neither."""

    at: str
    session: str
    peer: str
    listener: str
    who: str
    text: str


@dataclass(slots=True)
class _Trace:
    network: Network
    listener: str
    until_s: float
    asked_s: float
    entries: deque[Entry] = field(default_factory=deque)
    missed: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, entry: Entry) -> None:
        if self.is_over:
            return
        if len(self.entries) >= MOST_ENTRIES:
            self.missed += 1
            return
        self.entries.append(entry)
        self.news.set()

    @property
    def is_over(self) -> bool:
        now = monotonic()
        return now >= self.until_s or now >= self.asked_s + FORGOTTEN_S


class Traces:
    """Who watches whom, in one process."""

    def __init__(self) -> None:
        self._traces: dict[str, _Trace] = {}

    @property
    def are_wanted(self) -> bool:
        """False costs a connection nothing more."""
        return bool(self._traces)

    def watcher(self, session: str, peer: str, listener: str) -> "ConnectionTrace | None":
        """For a connection that begins; None when nobody watches it."""
        self._end_old()
        address = ipaddress.ip_address(peer)
        found = [t for t in self._traces.values() if address in t.network and t.listener in ("", listener)]
        return ConnectionTrace(found, session, peer, listener) if found else None

    async def begin(self, values: Values) -> Values:
        self._end_old()
        if len(self._traces) >= MOST_TRACES:
            raise Refusal(f"{MOST_TRACES} traces are under way")
        now = monotonic()
        network = ipaddress.ip_network(str(values["network"]))
        name = secrets.token_hex(8)
        self._traces[name] = _Trace(network, str(values["listener"]), now + float(cast(float, values["seconds"])), now)
        return {"trace": name}

    async def more(self, values: Values) -> Values:
        trace = self._traces.get(str(values["trace"]))
        if trace is None:
            return {"entries": [], "missed": 0, "is_over": True}
        trace.asked_s = monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WAIT_S):
                await trace.news.wait()
        entries = [trace.entries.popleft() for _ in range(min(len(trace.entries), MOST_AT_ONCE))]
        if not trace.entries:
            trace.news.clear()
        missed, trace.missed, trace.asked_s = trace.missed, 0, monotonic()
        rows = [[e.at, e.session, e.peer, e.listener, e.who, e.text] for e in entries]
        return {"entries": rows, "missed": missed, "is_over": trace.is_over and not trace.entries}

    def _end_old(self) -> None:
        self._traces = {name: trace for name, trace in self._traces.items() if not trace.is_over}


class ConnectionTrace:
    """Watches one connection for those who asked (`protocol.smtp.watching.Watcher`)."""

    def __init__(self, traces: list[_Trace], session: str, peer: str, listener: str) -> None:
        self._traces = traces
        self._who = (session, peer, listener)
        self._content_octets = 0

    def client_says(self, text: str) -> None:
        self._add("C", text)

    def server_says(self, text: str) -> None:
        self._add("S", text)

    def content_comes(self, octets: int) -> None:
        self._content_octets += octets

    def joined_by(self, other: "ConnectionTrace | None") -> None:
        """The connection has become another client's, whom others watch."""
        if other is not None:
            self._traces = [*self._traces, *(trace for trace in other._traces if trace not in self._traces)]
            self._who = other._who

    def notes(self, text: str) -> None:
        """What is neither said by the client nor by the server."""
        self._add("*", text)

    def _add(self, who: str, text: str) -> None:
        if self._content_octets:
            octets, self._content_octets = self._content_octets, 0
            self._add("C", f"<{octets:,} octets of content>")
        entry = Entry(utc_text(datetime.now(UTC)), *self._who, who, text)
        for trace in self._traces:
            trace.add(entry)


def trace_server(path: Path, traces: Traces) -> LocalServer:
    """Answers `mailward trace`."""
    return LocalServer(path, {"begin": traces.begin, "more": traces.more})


def trace(paths: Sequence[Path], network: Network, listener: str, seconds: float) -> Iterator[Entry | int]:
    """What happens from now on, as it happens; a number says how many entries were missed here. Blocking, for the command line.

    paths: of every process that takes mail. listener: its name, "" for any. Raises PeerAway, of one of them too, and Refusal.
    """
    wanted = {"network": str(network), "listener": listener, "seconds": seconds}
    return _fetched([(path, str(call_once(path, "begin", wanted)["trace"])) for path in paths])


def _fetched(begun: Sequence[tuple[Path, str]]) -> Iterator[Entry | int]:
    fetched: SimpleQueue[Entry | int | MailwardError | None] = SimpleQueue()
    for path, name in begun:
        Thread(target=_fetch, args=(path, name, fetched), daemon=True).start()
    under_way = len(begun)
    while under_way:
        one = fetched.get()
        if isinstance(one, MailwardError):
            raise one
        if one is None:
            under_way -= 1
        else:
            yield one


def _fetch(path: Path, name: str, fetched: "SimpleQueue[Entry | int | MailwardError | None]") -> None:
    """All that one process sees; None behind it."""
    try:
        is_over = False
        while not is_over:
            answer = cast(dict[str, Any], call_once(path, "more", {"trace": name}))
            for row in answer["entries"]:
                fetched.put(Entry(*row))
            if answer["missed"]:
                fetched.put(int(answer["missed"]))
            is_over = answer["is_over"]
    except MailwardError as error:
        fetched.put(error)
    finally:
        fetched.put(None)
