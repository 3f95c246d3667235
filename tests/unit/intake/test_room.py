"""Mail for a mailbox that is full is refused while a server waits for the reply, and for nobody else's mailbox."""

import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
import structlog

from mailward.directory.forwarding import End
from mailward.intake.room import FULL, FULL_FOR_GOOD, MOST_ASKED, MailboxRoom
from mailward.model.errors import StorageError
from mailward.model.ids import AccountId
from mailward.model.session import Role
from support.smtp_reception import Talk, post

T = TypeVar("T")
LEFT = {AccountId("alice"): -1, AccountId("bob"): 100}


async def _at_once(function: Callable[[], T]) -> T:
    return function()


def _has_room(account: AccountId, octets: int) -> bool:
    if account == "broken":
        raise StorageError("index.sqlite: malformed")
    return octets <= LEFT.get(account, -1)


def _ends(*accounts: str) -> list[End]:
    """ "" is another server's."""
    return [End(f"{one}@example.org", "mailbox" if one else "relay", AccountId(one) if one else None) for one in accounts]


@pytest.mark.parametrize(
    ("accounts", "octets", "is_full"),
    [
        pytest.param(["alice"], 0, True, id="full"),
        pytest.param(["bob"], 0, False, id="size-not-announced"),
        pytest.param(["bob"], 100, False, id="it-fits"),
        pytest.param(["bob"], 101, True, id="too-large-for-what-is-left"),
        pytest.param(["alice", "bob"], 0, False, id="one-of-an-alias-has-room"),
        pytest.param(["alice", "carol"], 0, True, id="none-of-an-alias-has"),
        pytest.param(["alice", ""], 0, False, id="a-copy-goes-elsewhere"),
        pytest.param([""], 0, False, id="all-goes-elsewhere"),
        pytest.param(["broken"], 0, False, id="not-known"),
        pytest.param(["alice"] * (MOST_ASKED + 1), 0, False, id="too-many-to-ask"),
    ],
)
async def test_a_message_is_refused_where_nobody_of_the_address_has_room(accounts: list[str], octets: int, is_full: bool) -> None:
    with structlog.testing.capture_logs() as logs:
        room = MailboxRoom(_has_room, _at_once, waits=True)
        assert await room.refusal(_ends(*accounts), octets) == (FULL if is_full else None)
        assert await MailboxRoom(_has_room, _at_once, waits=False).refusal(_ends(*accounts), octets) == (
            FULL_FOR_GOOD if is_full else None
        )
    assert {one["event"] for one in logs} == ({"room of an account not known"} if accounts == ["broken"] else set())


async def test_strangers_hear_it_after_the_policy_and_users_do_not(tmp_path: Path) -> None:
    made = post(tmp_path)
    asked: list[int] = []

    def has_room(_: AccountId, octets: int) -> bool:
        asked.append(octets)
        return False

    made.desk = replace(made.desk, mailbox_room=MailboxRoom(has_room, _at_once, waits=True))
    talk = Talk(made)
    said = await talk.say(
        "EHLO c", "MAIL FROM:<a@example.net> SIZE=700", "RCPT TO:<alice@example.org>", "RCPT TO:<alice+later@example.org>"
    )
    assert said[-2].startswith("452 4.2.2 The mailbox is full, please try again later")
    assert said[-1].startswith("451 4.7.1 Greylisted") and asked == [700]
    assert (await talk.say("RCPT TO:<nobody@example.org>"))[0].startswith("550 5.1.1")
    assert (await talk.say("RCPT TO:<x@gateway.example>"))[0].startswith("250") and asked == [700]
    by_core = [one for one in made.decisions.find(limit=9) if "452 4.2.2" in one.reply]
    assert [one.recipients[0].source_name for one in by_core] == ["full mailbox"]
    user = Talk(made, Role.SUBMISSION)
    secret = base64.b64encode(b"\0bob@example.org\0hidden").decode()
    said = await user.say("EHLO c", f"AUTH PLAIN {secret}", "MAIL FROM:<bob@example.org>", "RCPT TO:<alice@example.org>")
    assert said[-1].startswith("250 2.1.5")
