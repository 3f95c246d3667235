"""tlsrpt: what is remembered of connections, and what it says about a stricter policy."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.api import (
    CommandAnswer,
    PolicyType,
    ServerCall,
    Services,
    TlsLevel,
    TlsPolicy,
    TlsResult,
    TlsSession,
)
from mailward.model.tls import NO_POLICY
from mailward.services.kv import SqliteKeyValue
from mailward.testing import FakeClock, MemoryKeyValue
from mailward_plugins.tlsrpt import collect_commands, history, on_attempt
from mailward_plugins.tlsrpt.forecast import forecast
from mailward_plugins.tlsrpt.settings import TlsrptSettings
from support.plugin_services import attempt, services

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
DAY = date(2026, 11, 27)
KEEP = timedelta(days=90)
GOOD = TlsSession(NO_POLICY, "mx1.example.net", "192.0.2.1", "198.51.100.1", TlsLevel.REQUIRED, unproven="")
CLEAR = TlsSession(
    NO_POLICY,
    "mx2.example.net",
    "192.0.2.2",
    "198.51.100.1",
    TlsLevel.OPPORTUNISTIC,
    TlsResult.STARTTLS_NOT_SUPPORTED,
    "no STARTTLS",
)
NAMELESS = replace(GOOD, mx_host="mx3.example.net", unproven="its certificate has expired")
STS = TlsPolicy(PolicyType.STS, "example.net", ("version: STSv1", "mode: enforce"), ("*.example.net",))
REFUSED = TlsSession(STS, "mx4.example.net", "192.0.2.4", "198.51.100.1", None, TlsResult.CERTIFICATE_EXPIRED, "it has expired")


async def kept(kv: MemoryKeyValue | SqliteKeyValue, since: date = DAY, until: date = DAY) -> list[history.Row]:
    return [row async for row in history.rows(kv, since, until)]


async def test_connections_that_are_alike_are_counted_together_and_days_apart() -> None:
    kv = MemoryKeyValue()
    later = NOON + timedelta(hours=5)
    for one in (attempt(GOOD, CLEAR), attempt(GOOD, at=later), attempt(GOOD, at=NOON + timedelta(days=1))):
        assert await history.count(kv, one, KEEP) == 0
    rows = {row.session.mx_host: row for row in await kept(kv)}
    assert {host: row.count for host, row in rows.items()} == {"mx1.example.net": 2, "mx2.example.net": 1}
    assert rows["mx1.example.net"].last_at == later
    assert rows["mx2.example.net"].session == CLEAR
    assert rows["mx1.example.net"].session == replace(GOOD, sending_ip="", receiving_ip="")  # no addresses of what went well
    assert [row.count for row in await kept(kv, DAY + timedelta(days=1), DAY + timedelta(days=1))] == [1]
    assert await history.first_day(kv) == DAY


async def test_a_policy_is_kept_as_it_was_applied() -> None:
    kv = MemoryKeyValue()
    await history.count(kv, attempt(REFUSED), KEEP)
    (row,) = await kept(kv)
    assert row.session == REFUSED


@given(st.text(), st.text(), st.lists(st.text(max_size=3000), max_size=80))
async def test_whatever_strangers_publish_fits_and_is_printable(host: str, detail: str, strings: list[str]) -> None:
    kv = MemoryKeyValue()
    policy = TlsPolicy(PolicyType.STS, "example.net", tuple(strings), tuple(strings))
    await history.count(kv, attempt(replace(REFUSED, policy=policy, detail=detail, mx_host=host)), KEEP)
    (value,) = kv.values.values()
    assert len(value) <= 64 * 1024
    (row,) = await kept(kv)
    assert all(text.isprintable() and text.isascii() for text in (row.session.detail, *row.session.policy.strings))


async def test_a_day_has_room_for_so_many_rows_and_counts_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_ROWS_A_DAY", 3)
    kv = MemoryKeyValue()
    many = [replace(CLEAR, receiving_ip=f"192.0.2.{number}") for number in range(10)]
    assert await history.count(kv, attempt(*many), KEEP) == 7
    assert await history.count(kv, attempt(many[0], many[9]), KEEP) == 1
    assert sum(row.count for row in await kept(kv)) == 4
    assert await history.left_out(kv, DAY) == 8


async def test_t_dos_16_long_policies_have_a_limit_of_octets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_OCTETS_A_DAY", 100_000)
    kv = MemoryKeyValue()
    policy = TlsPolicy(PolicyType.STS, "example.net", tuple(f"{n}" + "x" * 255 for n in range(50)), ("m" * 255,) * 50)
    many = [replace(REFUSED, policy=policy, receiving_ip=f"192.0.2.{number}") for number in range(10)]
    assert await history.count(kv, attempt(*many), KEEP) == 7
    assert 70_000 < sum(map(len, kv.values.values())) <= 100_000
    assert await history.count(kv, attempt(*many[:3]), KEEP) == 0
    assert await history.left_out(kv, DAY) == 7
    assert await history.count(kv, attempt(many[0], at=NOON + timedelta(days=1)), KEEP) == 0


async def test_a_day_of_the_release_before_goes_on_being_counted() -> None:
    kv = MemoryKeyValue()
    await kv.add_many({b"sessions/2026-11-27": (3, 1)})
    assert await history.count(kv, attempt(GOOD), KEEP) == 0
    assert (await kv.counters([b"sessions/2026-11-27"]))[b"sessions/2026-11-27"][:2] == (4, 1)
    assert await history.left_out(kv, DAY) == 1


async def test_the_first_connection_of_a_day_lets_old_days_be_forgotten() -> None:
    kv = MemoryKeyValue()
    for days in range(6):
        await history.count(kv, attempt(GOOD, at=NOON + timedelta(days=days)), timedelta(days=2))
    assert await history.first_day(kv) == DAY + timedelta(days=3)
    assert len(kv.values) == len([key for key in kv.counts if key.startswith(b"session/")]) == 3


async def test_a_day_that_a_restart_cuts_in_two_is_counted_whole(tmp_path: Path) -> None:
    for _ in range(2):
        kv = SqliteKeyValue(tmp_path / "tlsrpt.sqlite")  # never closed: a kill closes nothing either
        await history.count(kv, attempt(GOOD, CLEAR), KEEP)
    assert sorted(row.count for row in await kept(SqliteKeyValue(tmp_path / "tlsrpt.sqlite"))) == [2, 2]


async def test_the_hook_counts_what_is_bound_to_policies(tmp_path: Path) -> None:
    own = services(tmp_path)
    await on_attempt(attempt(GOOD), TlsrptSettings(), own)
    await on_attempt(attempt(), TlsrptSettings(), own)
    await on_attempt(attempt(CLEAR, tls_optional=True), TlsrptSettings(), own)
    assert [row.session.mx_host async for row in history.rows(own.kv, DAY, DAY)] == ["mx1.example.net"]


async def given_rows(*sessions: TlsSession) -> AsyncIterator[history.Row]:
    for session in sessions:
        yield history.Row(DAY, "example.net", session, 1, NOON)


@pytest.mark.parametrize(
    ("session", "required", "verified"),
    [
        (GOOD, "", ""),
        (CLEAR, "no STARTTLS", "no STARTTLS"),
        (NAMELESS, "", "its certificate has expired"),
        (REFUSED, "it has expired", "it has expired"),
        (replace(GOOD, level=TlsLevel.VERIFIED), "", ""),
        (replace(GOOD, unproven=None), "", "unknown"),
    ],
)
async def test_what_would_have_failed(session: TlsSession, required: str, verified: str) -> None:
    for level, reason in ((TlsLevel.REQUIRED, required), (TlsLevel.VERIFIED, verified)):
        found = await forecast(given_rows(session), "example.net", level)
        (host,) = found.hosts
        assert (host.unknown, host.failing) == ((1, 0) if reason == "unknown" else (0, 1 if reason else 0)), level
        assert host.reason == ("" if reason == "unknown" else reason)


async def test_other_domains_are_not_looked_at_and_the_worst_host_comes_first() -> None:
    found = await forecast(given_rows(GOOD, CLEAR, CLEAR, REFUSED), "example.net", TlsLevel.REQUIRED)
    assert [(host.mx_host, host.failing) for host in found.hosts] == [
        ("mx2.example.net", 2),
        ("mx4.example.net", 1),
        ("mx1.example.net", 0),
    ]
    assert (await forecast(given_rows(CLEAR), "else.example", TlsLevel.REQUIRED)).hosts == ()


async def test_a_host_that_an_admin_named_is_told_from_the_domains_own(tmp_path: Path) -> None:
    own = services(tmp_path)
    await on_attempt(attempt(CLEAR, replace(CLEAR, is_routed=True)), TlsrptSettings(), own)
    answer = await say(own, require="example.net")
    assert sum("mx2.example.net: 1 of 1" in line for line in answer.text.splitlines()) == 2
    assert (
        sum(
            "mx2.example.net (which a route or a reroute names, not the domain): 1 of 1" in line
            for line in answer.text.splitlines()
        )
        == 2
    )


async def say(own: Services, **options: str) -> CommandAnswer:
    command = next(command for command in collect_commands() if command.name == "forecast")
    return await command.run(ServerCall(options, TlsrptSettings(), own))


async def test_the_command_says_what_is_known_and_since_when(tmp_path: Path) -> None:
    own = replace(services(tmp_path), clock=FakeClock(NOON + timedelta(days=2)))
    empty = await say(own, require="example.net")
    assert (empty.text, empty.exit_code) == (
        "no connection to a server of example.net in the last 30d; nothing is remembered yet",
        0,
    )
    await on_attempt(attempt(GOOD, CLEAR), TlsrptSettings(), own)
    answer = await say(own, require="example.net")
    assert answer.exit_code == 1
    assert answer.text.splitlines()[:2] == [
        "example.net: 2 connections since 2026-11-27",
        "required (never in clear): 1 of 2 would have failed",
    ]
    assert answer.text.splitlines()[2].startswith("  mx2.example.net: 1 of 1, last ")
    assert answer.text.splitlines()[2].endswith(": no STARTTLS")
    other = await say(own, require="else.example", since="7d")
    assert (other.text, other.exit_code) == (
        "no connection to a server of else.example in the last 7d; the history begins on 2026-11-27",
        0,
    )
    late = await say(own, require="example.net", since="1d")
    assert late.exit_code == 0 and late.data["connections"] == 0


async def test_the_command_is_content_when_all_would_have_arrived(tmp_path: Path) -> None:
    own = replace(services(tmp_path), clock=FakeClock(NOON))
    await on_attempt(attempt(GOOD), TlsrptSettings(), own)
    answer = await say(own, require="example.net")
    assert answer.exit_code == 0
    assert answer.text.splitlines()[1:] == [
        "required (never in clear): none would have failed",
        "verified (and the server proves its name): none would have failed",
    ]
