"""Who writes to an address that nobody uses is known for a while; nobody learns which address it is."""

from datetime import timedelta
from pathlib import Path

import pytest

from mailward.services import kv as kv_module
from mailward.services.kv import SqliteKeyValue
from mailward.testing import CallHook, FakeClock, FakeServices, MemoryKeyValue, Scan, make_forward_path, make_session
from mailward_plugins.spamtrap.book import Book

MAIL = "From: a@example.net\nSubject: hello\n\ntext\n"
TRAP = "carol@example.org"
SETTINGS = {"spamtrap": {"addresses": [TRAP]}}
SPAMMER = "203.0.113.7"


def _points(
    scan: Scan, ip: str = SPAMMER, rcpt: object = "bob@example.org", mail_from: str = "a@example.net"
) -> dict[str, float]:
    found = scan(MAIL, plugins=["spamtrap"], settings=SETTINGS, ip=ip, rcpt=rcpt, mail_from=mail_from)  # type: ignore[arg-type]
    assert found.verdict in ("accept", "junk")
    return {symbol: finding.strength for symbol, finding in found.findings.items()}


def test_a_message_to_a_trap_counts_for_all_its_recipients_and_for_the_next_of_that_host(scan: Scan) -> None:
    assert _points(scan) == {}
    assert _points(scan, rcpt=["bob@example.org", "Carol@Example.ORG", "ann@example.org"]) == {"SPAMTRAP_HIT": 1.0}
    assert _points(scan) == {"SPAMTRAP_SOURCE": 1.0}
    assert _points(scan, ip="203.0.113.8") == {}


def test_a_host_is_forgotten_by_and_by(scan: Scan) -> None:
    _points(scan, rcpt=TRAP)
    scan.services.clock.advance(timedelta(hours=36))
    assert _points(scan) == {"SPAMTRAP_SOURCE": 0.5}
    scan.services.clock.advance(timedelta(hours=36))
    assert _points(scan) == {}


def test_a_host_with_ipv6_has_all_addresses_of_its_network(scan: Scan) -> None:
    _points(scan, ip="2001:db8:1:2::3", rcpt=TRAP)
    assert _points(scan, ip="2001:db8:1:2:ffff::1") == {"SPAMTRAP_SOURCE": 1.0}
    assert _points(scan, ip="2001:db8:1:3::3") == {}


def test_t_relay_13_a_report_about_mail_forged_in_the_name_of_a_trap_is_nobodys_fault(scan: Scan) -> None:
    assert _points(scan, rcpt=TRAP, mail_from="") == {}
    assert _points(scan) == {}


@pytest.mark.parametrize(
    "session",
    [make_session("10.0.0.1"), make_session(SPAMMER, user="bob@example.org"), make_session(SPAMMER, lmtp=True), make_session("")],
)
def test_users_and_servers_of_ours_are_never_remembered(
    call_hook: CallHook, fake_services: FakeServices, session: object
) -> None:
    settings = SETTINGS["spamtrap"]
    assert call_hook("spamtrap", "inspect_rcpt", settings=settings, forward_path=make_forward_path(TRAP), session=session) == ()
    assert call_hook("spamtrap", "inspect_connect", settings=settings, session=session) == ()
    assert fake_services.kv["spamtrap"].values == {}


def test_what_is_found_does_not_name_the_trap(scan: Scan) -> None:
    result = scan(MAIL, plugins=["spamtrap"], settings=SETTINGS, ip=SPAMMER, rcpt=["bob@example.org", TRAP])
    assert "carol" not in "".join(finding.text for _, finding in result.observed)
    assert not any("carol" in str(edit) for edit in result.edits)


def test_a_rule_decides_what_becomes_of_it(scan: Scan) -> None:
    rule = {"name": "trapped", "when": "spamtrap.hit", "at": "message", "then": "quarantine"}
    result = scan(MAIL, plugins=["spamtrap"], settings=SETTINGS, ip=SPAMMER, rcpt=TRAP, policy={"rules": [rule]})
    assert result.verdict == "quarantine"
    assert result.call("spamtrap", "inspect_rcpt").status == "ok"


@pytest.mark.parametrize("rcpt", [["bob@example.org", TRAP], [TRAP, "bob@example.org"]])
def test_t_plug_06_the_rule_holds_for_every_recipient_in_whichever_order_they_come(scan: Scan, rcpt: list[str]) -> None:
    rule = {"name": "trapped", "when": "spamtrap.hit", "at": "message", "then": "quarantine"}
    result = scan(MAIL, plugins=["spamtrap"], settings=SETTINGS, ip=SPAMMER, rcpt=rcpt, policy={"rules": [rule]})
    assert [one.verdict for one in result.record.recipients] == ["quarantine", "quarantine"]
    assert not any(one.facts for one in result.record.recipients)  # they would say which is the trap


async def test_t_dos_16_of_too_many_hosts_those_that_were_quiet_longest_are_forgotten(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kv_module, "MOST_EXPIRING", 100)
    kv = SqliteKeyValue(tmp_path / "kv.sqlite", clock)
    book = Book(kv, timedelta(days=3))
    for number in range(300):
        await book.add(f"2001:db8:0:{number:x}::/64", clock.now())
        clock.advance(timedelta(seconds=1))
    assert 50 <= len(await kv.find(b"")) <= 100
    assert await book.find("2001:db8:0:12b::/64", clock.now()) and not await book.find("2001:db8::/64", clock.now())
    kv.close()


async def test_a_shorter_time_that_the_admin_sets_holds_at_once(clock: FakeClock) -> None:
    kv = MemoryKeyValue(clock)
    await Book(kv, timedelta(days=3)).add(SPAMMER, clock.now())
    assert await Book(kv, timedelta(days=1)).find(SPAMMER, clock.now() + timedelta(hours=23))
    assert not await Book(kv, timedelta(days=1)).find(SPAMMER, clock.now() + timedelta(hours=24))
