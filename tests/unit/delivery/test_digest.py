"""What a digest says: harmless whatever strangers wrote, one a day, once each, to mailboxes here."""

import email
import email.policy
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailward.api import Submit
from mailward.delivery.digest import MOST_LISTED, DigestWriter
from mailward.delivery.digesting import Digesting
from mailward.delivery.submitting import OwnMail
from mailward.directory import Account
from mailward.formats.address import parse_mailbox
from mailward.model.ids import AccountId, QueueId
from mailward.quarantine import Held, News, Portion, UsersRelease
from mailward.testing.fakes import FakeClock
from support.releasing import OCTETS, Place

NOW = datetime(2026, 11, 3, 8, tzinfo=UTC)
BOB = Account(AccountId("b0b"), parse_mailbox("bob@example.org"))
WRITER = DigestWriter("mx.example.org", 30 * 86400.0, UsersRelease(frozenset({"limits"})), UTC)
KEPT = Held(
    "k1:0", QueueId("k1"), 0, "bob@example.org", "quarantine by limit quarantine, score 11", "2026-11-02T10:00:00.000Z", 9,
    account=BOB.id, author="eve@evil.test (Eve)", subject="Lunch", verdict="quarantine", cause="limits", grounds="limits",
    kept_at="2026-11-02T10:00:00.000Z",
)  # fmt: skip


def text_of(*kept: Held, infected: int = 0, more: int = 0) -> str:
    return WRITER.text(BOB, News(len(kept) + more, kept, infected))


def test_it_says_what_was_kept_why_until_when_and_who_decides() -> None:
    said = text_of(KEPT, replace(KEPT, delivery_key="k2:0", cause="rule:odd", grounds="rule:odd"), infected=2, more=40)
    assert "  From:      eve@evil[.]test (Eve)\n  Subject:   Lunch\n  Received:  2 November 2026 at 10:00 UTC\n" in said
    assert "  Kept:      by its score\n  Expires:   2 December 2026\n  Release:   as you wish\n  Number:    k1:0\n" in said
    assert "  Kept:      by rule odd\n" in said and "an administrator decides (mail that is kept by rule odd" in said
    assert "and 40 more." in said and "Malware: 2 messages, not shown here" in said
    assert "postmaster@example.org" in said


HOSTILE = {
    "T-SMTP-30: an escape": "\x1b]0;owned\x07\x1b[2J red",
    "T-HDR-15: overrides and invisible characters": "invoice\u202efdp\u200b.exe\u2066",
    "T-HDR-11: lines of ours": "x\r\n\r\n  Release:   as you wish\n  Number:    k9\u2028  Number:    k8",
    "very long": "a" * 5000,
    "many combining marks": "e" + "\u0301" * 5000,
    "half a surrogate pair": "x\ud800y",
    "a link": "now http://evil.test/a?b=c#d and https://1.2.3.4:80/x",
    "a bare link": "go to www.evil.test/login or evil\u3002test or www.1und1.test!",
    "T-HDR-11: backslashes": r"see \\\\192.0.2.5\\share or file:\\\\host\\x or http:\\\\evil.test",
    "an address of four numbers": "go to 192.0.2.1/login or 1.1.1.1",
    "a call": "ring tel:+1900 or sms:1900 or skype:eve",
    "an address": "write to mailto:eve@evil.test",
}
LINKS = re.compile(
    r"(?i)[a-z]:/|\\\\|(?:tel|sms|skype|file|http|mailto):\S|\d\.\d+\.\d|www\.\w|\w[.\u3002\uff0e\uff61][^\s\d]{2}"
)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_strangers_text_is_one_harmless_line_without_links(text: str) -> None:
    plain = text_of(KEPT).split("\n")
    kept = [replace(KEPT, subject=text), replace(KEPT, author=text), replace(KEPT, cause="", grounds="", reason=text)]
    for held in kept:
        lines = text_of(held).split("\n")
        assert len(lines) == len(plain), "it makes no line"
        assert sum(line.startswith("  Number:") for line in lines) == 1
        (changed,) = [line for line, was in zip(lines, plain, strict=True) if line != was and not line.startswith("  Release")]
        assert len(changed) < 260 and changed.isprintable()
        assert not LINKS.search(changed), changed


@pytest.mark.parametrize("local_part", ['"bank@bank.test' + " " * 3 + "x" * 80 + '"', "a" * 90])
def test_a_long_local_part_does_not_hide_the_domain(local_part: str) -> None:
    said = text_of(replace(KEPT, author=f"{local_part}@evil.test (Bank)"))
    assert re.search(r"  From:      .{,40}@evil\[\.\]test\n", said), said


def test_it_is_a_message_that_nobody_answers_and_that_has_nothing_but_text() -> None:
    octets = WRITER.write(BOB, Portion(BOB.id, 0, 7), News(1, (replace(KEPT, subject="Grüße \U0001f600" * 20),), 0), NOW)
    assert octets.isascii() and max(map(len, octets.split(b"\r\n"))) <= 998 and b"\n" not in octets.replace(b"\r\n", b"")
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert message["Auto-Submitted"] == "auto-generated", "RFC 3834 section 5"
    assert (message["From"].addresses[0].addr_spec, message["To"]) == ("postmaster@example.org", "bob@example.org")
    assert message["Subject"] == "Quarantine: 1 message kept from your mailbox"
    assert message.get_content_type() == "text/plain" and not message.defects
    assert "Grüße" in message.get_content() and message["Date"].datetime == NOW


class Office:
    """The queue process's part, over a folder that outlives it."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self.place = Place(folder)
        self.clock = clock

    def digesting(self, submit: Submit | None = None, hour: int = 7) -> Digesting:
        class Agenda:
            def plan(self, id: QueueId, delay_s: float) -> None:
                pass

        place = self.place
        mail = OwnMail(place.spool, Agenda(), place.directory, place.decisions, self.clock)  # type: ignore[arg-type]
        return Digesting(
            place.quarantine, place.directory, WRITER, submit or mail.of_server("quarantine digest"), self.clock, hour
        )

    def keep(self, account: AccountId, subject: str) -> None:
        name = f"q{len(self.place.quarantine.list())}{subject.lower()}"
        held = replace(KEPT, delivery_key=f"{name}:0", id=QueueId(name), account=account, subject=subject)
        self.place.quarantine.add(held, OCTETS)

    def sent(self) -> list[tuple[str, str]]:
        """To whom, and what it says."""
        spool = self.place.spool
        found = []
        for id in spool.ids():
            (to,) = spool.item(id).recipients
            assert (to.route, spool.item(id).reverse_path, spool.item(id).origin) == ("mailbox", "", "server")
            assert to.parameters.notify == ("NEVER",), "no report about a digest"
            found.append((to.forward_path, spool.octets(id).decode("ascii")))
        return sorted(found)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path, FakeClock(NOW))


async def test_one_a_day_after_its_hour_to_whom_something_is_new(office: Office) -> None:
    ann, bob = office.place.account("ann@example.org"), office.place.account("bob@example.org")
    office.place.account("carl@example.org")
    office.keep(ann, "One")
    office.keep(bob, "Two")
    office.keep(AccountId("removed"), "Three")
    office.clock.set(NOW.replace(hour=6, minute=59))
    assert await office.digesting().send_due() == 0
    office.clock.set(NOW)
    assert await office.digesting().send_due() == 2
    (to_ann, to_bob) = office.sent()
    assert to_ann[0] == "ann@example.org" and "Subject:   One" in to_ann[1] and "Two" not in to_ann[1]
    assert to_bob[0] == "bob@example.org" and "Three" not in to_ann[1] + to_bob[1]
    office.keep(bob, "Later")
    assert await office.digesting().send_due() == 0
    office.clock.advance(timedelta(days=1))
    assert await office.digesting().send_due() == 1
    assert [to for to, text in office.sent() if "Later" in text] == ["bob@example.org"]
    await office.place.close()


class Cut(Exception):
    """Where the process would have been killed."""


@pytest.mark.parametrize("step", ["begin", "news", "before the spool", "after the spool", "sent", "end_round"])
async def test_t_q_10_killed_anywhere_and_begun_again_each_user_has_one_digest(
    office: Office, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ann", "bob"):
        office.keep(office.place.account(f"{name}@example.org"), "Lunch")
    mail = office.digesting()._submit

    async def cut_submit(forward_path: str, octets: bytes, **more: object) -> bool:
        if step == "after the spool":
            await mail(forward_path, octets, **more)  # type: ignore[arg-type]
        raise Cut

    def cut(*_: object) -> None:
        raise Cut

    with monkeypatch.context() as patched, pytest.raises(Cut):
        if step.endswith("the spool"):
            await office.digesting(cut_submit).send_due()
        else:
            patched.setattr(type(office.place.quarantine.digests), step, cut)
            await office.digesting().send_due()
    await office.digesting().send_due()
    await office.digesting().send_due()
    assert [to for to, _ in office.sent()] == ["ann@example.org", "bob@example.org"]
    await office.place.close()


async def test_much_is_cut_short_and_counted(office: Office) -> None:
    ann = office.place.account("ann@example.org")
    for number in range(MOST_LISTED + 3):
        office.keep(ann, f"no{number}")
    await office.digesting().send_due()
    ((_, text),) = office.sent()
    assert text.count("  Number:") == MOST_LISTED and "and 3 more." in text
    await office.place.close()
