"""Who gets an automatic reply, and how does it look? (RFC 5230, RFC 3834)"""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mailward.formats.address import parse_mailbox
from mailward.formats.message import MessageView
from mailward.model.address import NULL_REVERSE_PATH, ReversePath
from mailward.sieve.actions import Notify, Vacation
from mailward.sieve.replying import notify_message, vacation_message
from support.sieve import WORLD, run_script

HEADER = "From: sender@example.net\r\nTo: owner@example.org\r\nSubject: Gr\u00fc\u00dfe\r\nMessage-ID: <one@example.net>\r\n"
AT = datetime(2026, 1, 9, tzinfo=UTC)


def _vacation(header: str = HEADER, arguments: str = "", sender: str | None = "sender@example.net") -> Vacation:
    path = NULL_REVERSE_PATH if sender is None else ReversePath(parse_mailbox(sender))
    world = replace(WORLD, envelope=replace(WORLD.envelope, reverse_path=path))
    script = f'require ["vacation", "vacation-seconds"]; vacation {arguments} "Ich bin weg: \u00fc";'
    action = run_script(script, f"{header}\r\nbody\r\n".encode(), world).actions[0]
    assert isinstance(action, Vacation)
    return action


def test_a_person_gets_a_reply() -> None:
    assert _vacation().withheld == ""
    assert str(_vacation().recipient) == "sender@example.net"


@pytest.mark.parametrize(
    ("field", "why"),
    [
        ("List-Id: <a.example.net>", "it came by a list"),
        ("List-Unsubscribe: <mailto:a@example.net>", "it came by a list"),
        ("Auto-Submitted: auto-replied (vacation)", "a machine has sent it (Auto-Submitted)"),
        ("Auto-Submitted: no", ""),
        ("Precedence: Bulk", "it is bulk mail (Precedence)"),
        ("X-Auto-Response-Suppress: DR, OOF", "its sender asks for none (X-Auto-Response-Suppress)"),
    ],
)
def test_no_machine_gets_a_reply(field: str, why: str) -> None:
    assert _vacation(f"{field}\r\n{HEADER}").withheld == why


@pytest.mark.parametrize(
    "sender", ["MAILER-DAEMON@example.net", "a-request@example.net", "owner-a@example.net", "a-bounces@example.net", None]
)
def test_senders_that_are_no_persons_get_no_reply(sender: str | None) -> None:
    assert _vacation(sender=sender).withheld


def test_the_owner_gets_no_reply() -> None:
    assert _vacation(sender="owner@example.org").withheld == "its sender is the owner"
    assert _vacation(sender="x@example.org", arguments=':addresses "X@example.org"').withheld == "its sender is the owner"


def test_mail_that_does_not_name_the_owner_gets_no_reply() -> None:
    header = HEADER.replace("owner@", "team@")
    assert "names no address of the owner" in _vacation(header).withheld
    assert _vacation(header, ':addresses "TEAM@example.org"').withheld == ""


@pytest.mark.parametrize(
    ("arguments", "period_s"),
    [("", 604_800), (":days 0", 86_400), (":days 400", 90 * 86_400), (":seconds 0", 0), (":seconds 60", 60)],
)
def test_periods_are_bounded(arguments: str, period_s: int) -> None:
    assert _vacation(arguments=arguments).period_s == period_s


def test_other_words_have_another_key_and_a_handle_has_its_own() -> None:
    assert _vacation().key != _vacation(arguments=':subject "x"').key
    assert _vacation(arguments=':handle "h"').key == _vacation(arguments=':handle "h" :subject "x"').key


def test_the_reply_tells_that_it_is_one() -> None:
    written = vacation_message(
        _vacation(arguments=':from "J\u00fcrgen, <owner@example.org>"'.replace(",", "")), "<two@example.org>", AT
    )
    reply = MessageView(written)
    assert reply.subject == "Auto: Gr\u00fc\u00dfe"
    assert [str(m.address) for m in reply.authors] == ["owner@example.org"]
    assert reply.authors[0].display_name == "J\u00fcrgen"
    assert {name: reply.all(name)[0].text for name in ("To", "In-Reply-To", "References", "Auto-Submitted")} == {
        "To": "sender@example.net",
        "In-Reply-To": "<one@example.net>",
        "References": "<one@example.net>",
        "Auto-Submitted": "auto-replied (vacation)",
    }
    assert [text.text.strip() for text in reply.texts()] == ["Ich bin weg: \u00fc"]
    assert written.isascii() and reply.anomalies == ()


def test_a_reply_with_a_header_of_its_own() -> None:
    script = 'require "vacation"; vacation :mime text:\nContent-Type: text/html\n\n<p>away</p>\n.\n;'
    action = run_script(script).actions[0]
    assert isinstance(action, Vacation)
    assert MessageView(vacation_message(action, "<a@example.org>", AT)).root.content_type == "text/html"


def test_two_replies_are_an_error() -> None:
    outcome = run_script('require "vacation"; vacation "a"; vacation "b";')
    assert outcome.problem is not None and outcome.problem.text == "the vacation command may be done once only"


def test_a_notification_tells_that_a_machine_has_sent_it() -> None:
    script = 'require "enotify"; notify :importance "1" :message "new" "mailto:a@example.com?cc=b@example.com&X-A=1&From=c@example.com";'
    action = run_script(script).actions[0]
    assert isinstance(action, Notify)
    written = MessageView(notify_message(action, "<a@example.org>", AT))
    assert (written.subject, [str(m.address) for m in written.recipients_in_header]) == (
        "new",
        ["a@example.com", "b@example.com"],
    )
    assert [str(m.address) for m in written.authors] == ["owner@example.org"]
    submitted = written.field("Auto-Submitted")
    assert submitted and submitted.text == 'auto-notified; owner-email="owner@example.org"'


def test_nobody_is_notified_of_what_a_machine_has_sent() -> None:
    action = run_script('require "enotify"; notify "mailto:a@example.com";', b"Auto-Submitted: auto-notified\r\n\r\n").actions[0]
    assert isinstance(action, Notify) and action.withheld
