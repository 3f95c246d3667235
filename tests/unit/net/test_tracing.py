"""Traces in one process: who sees what, how much is kept, when they end."""

import pytest

from mailward.net import tracing
from mailward.net.local import Refusal
from mailward.net.tracing import Traces


async def begun(traces: Traces, network: str = "192.0.2.0/24", listener: str = "", seconds: float = 60.0) -> str:
    return str((await traces.begin({"network": network, "listener": listener, "seconds": seconds}))["trace"])


async def test_a_connection_is_seen_by_those_who_asked_for_it() -> None:
    traces = Traces()
    assert not traces.are_wanted and traces.watcher("s", "192.0.2.1", "mx") is None
    name = await begun(traces, listener="mx")
    assert traces.watcher("s", "192.0.2.1", "submission") is None and traces.watcher("s", "198.51.100.1", "mx") is None
    watcher = traces.watcher("s", "192.0.2.1", "mx")
    assert watcher is not None
    watcher.client_says("EHLO c.example.net")
    watcher.content_comes(1000)
    watcher.content_comes(234)
    watcher.server_says("250 2.0.0 OK")
    answer = await traces.more({"trace": name})
    assert [row[1:] for row in answer["entries"]] == [  # type: ignore[attr-defined]
        ["s", "192.0.2.1", "mx", "C", "EHLO c.example.net"],
        ["s", "192.0.2.1", "mx", "C", "<1,234 octets of content>"],
        ["s", "192.0.2.1", "mx", "S", "250 2.0.0 OK"],
    ]


async def test_t_dos_a_reader_that_stops_reading_is_told_what_it_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    traces = Traces()
    name = await begun(traces)
    watcher = traces.watcher("s", "192.0.2.1", "mx")
    assert watcher is not None
    for _ in range(tracing.MOST_ENTRIES + 7):
        watcher.client_says("NOOP")
    seen, missed = 0, 0
    while seen < tracing.MOST_ENTRIES:
        answer = await traces.more({"trace": name})
        seen += len(answer["entries"])  # type: ignore[arg-type]
        missed += int(str(answer["missed"]))
    assert (seen, missed) == (tracing.MOST_ENTRIES, 7)


async def test_a_trace_ends_by_its_time_and_when_nobody_asks_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(tracing, "monotonic", lambda: now[0])
    monkeypatch.setattr(tracing, "_WAIT_S", 0.01)
    traces = Traces()
    names = [await begun(traces, seconds=30.0) for _ in range(2)]
    watcher = traces.watcher("s", "192.0.2.1", "mx")
    assert watcher is not None
    now[0] += 9
    assert (await traces.more({"trace": names[0]}))["is_over"] is False
    now[0] += 2  # nobody asked for the second one
    watcher.client_says("NOOP")
    assert len((await traces.more({"trace": names[0]}))["entries"]) == 1  # type: ignore[arg-type]
    assert traces.watcher("s", "192.0.2.1", "mx") is not None
    assert await traces.more({"trace": names[1]}) == {"entries": [], "missed": 0, "is_over": True}
    now[0] += 20
    assert (await traces.more({"trace": names[0]}))["is_over"] is True
    assert traces.watcher("s", "192.0.2.1", "mx") is None and not traces.are_wanted


async def test_traces_are_few() -> None:
    traces = Traces()
    for _ in range(tracing.MOST_TRACES):
        await begun(traces)
    with pytest.raises(Refusal, match="traces are under way"):
        await begun(traces)


async def test_who_watches_a_proxy_sees_its_clients_to_the_end() -> None:
    traces = Traces()
    proxy, client = await begun(traces, "192.0.2.1/32"), await begun(traces, "198.51.100.0/24")
    watcher = traces.watcher("s", "192.0.2.1", "mx")
    assert watcher is not None
    watcher.client_says("XCLIENT ADDR=198.51.100.9")
    watcher.joined_by(traces.watcher("s", "198.51.100.9", "mx"))
    watcher.notes("closed")
    assert [len((await traces.more({"trace": name}))["entries"]) for name in (proxy, client)] == [2, 1]  # type: ignore[arg-type]
