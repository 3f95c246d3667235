"""What one RCPT of an alias becomes in the queue: every end once, with what was said of reports, and no forwarded spam."""

from pathlib import Path

import pytest

from mailward.directory import Alias, Directory
from mailward.formats.address import parse_mailbox
from mailward.model.address import Address
from mailward.model.edits import AddHeader
from mailward.model.envelope import RcptParameters
from mailward.model.session import Role
from mailward.queue.item import QueuedRecipient, QueueItem
from support.smtp_reception import SRS, Post, Talk, post

MESSAGE = b"From: a@example.net\r\nSubject: hi\r\nMessage-ID: <1@example.net>\r\n\r\nhello\r\n"
ALICE, BOB, ANN = "alice@example.org", "bob@example.org", "ann@far.example"


def at(text: str) -> Address:
    return Address("", text[1:]) if text.startswith("@") else parse_mailbox(text)


class Desk:
    def __init__(self, folder: Path) -> None:
        self.post: Post = post(folder)
        self.directory = Directory(folder / "directory.sqlite")
        self.talk = Talk(self.post)

    def alias(self, name: str, *targets: str, owner: str = "", members_only: bool = False) -> None:
        self.directory.add_alias(Alias(at(name), tuple(map(at, targets)), at(owner) if owner else None, members_only))

    def taken(self) -> tuple[QueueItem, tuple[QueuedRecipient, ...]]:
        ((item, _),) = self.post.spool.items
        return item, item.recipients


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_an_alias_becomes_a_recipient_for_each_end(desk: Desk) -> None:
    desk.alias("sales@example.org", ALICE, BOB, ANN)
    assert (await desk.talk.send(MESSAGE, "sales@example.org")).startswith("250")
    item, (alice, bob, ann) = desk.taken()
    assert [(r.forward_path, r.route, bool(r.account)) for r in (alice, bob, ann)] == [
        (ALICE, "mailbox", True), (BOB, "mailbox", True), (ANN, "relay", False),
    ]  # fmt: skip
    assert {r.parameters.original_recipient for r in item.recipients} == {"rfc822;sales@example.org"}
    assert alice.reverse_path is bob.reverse_path is None and item.reverse_path == "a@example.net"
    rewritten = SRS.forwarded(at("a@example.net"), "example.org")
    assert ann.reverse_path == str(rewritten)
    assert ann.edits == (AddHeader("Delivered-To", "sales@example.org"),) and not alice.edits
    (decision,) = item.decision.recipients
    assert decision.recipient == "sales@example.org" and f"leads to {ALICE}, {BOB}, {ANN} (from <{rewritten}>)" in decision.told
    assert "for <sales@example.org>" in item.trace and "alice" not in item.trace


async def test_the_record_tells_that_a_catch_all_was_used(desk: Desk) -> None:
    desk.alias("@example.org", ALICE)
    await desk.talk.send(MESSAGE, "nobody-in-particular@example.org")
    (decision,) = desk.taken()[0].decision.recipients
    assert f"by @example.org it leads to {ALICE}" in decision.told


async def test_who_is_addressed_twice_gets_one_copy(desk: Desk) -> None:
    desk.alias("sales@example.org", ALICE, ANN)
    desk.alias("shop@example.org", "sales@example.org", BOB)
    await desk.talk.send(MESSAGE, "shop@example.org", ALICE, "sales@example.org")
    assert sorted(r.forward_path for r in desk.taken()[1]) == [ALICE, ANN, BOB]


async def test_a_new_alias_counts_in_the_same_session(desk: Desk) -> None:
    assert (await desk.talk.say("EHLO c", "MAIL FROM:<a@example.net>", "RCPT TO:<new@example.org>"))[-1].startswith("550 5.1.1")
    desk.alias("new@example.org", ALICE)
    assert await desk.talk.say("RCPT TO:<new@example.org>") == ["250 2.1.5 OK"]


@pytest.mark.parametrize("word", [b"JUNK", b"QUARANTINE"])
async def test_spam_is_not_forwarded_but_kept(desk: Desk, word: bytes) -> None:
    desk.alias("sales@example.org", ALICE, ANN)
    await desk.talk.send(MESSAGE + word + b"\r\n", "sales@example.org")
    _, (alice, ann) = desk.taken()
    assert (ann.route, ann.destination) == ("quarantine", "relay") and ann.reason
    assert (alice.route, alice.folder) == (("mailbox", "Junk") if word == b"JUNK" else ("quarantine", "INBOX"))


async def test_what_is_refused_goes_nowhere(desk: Desk) -> None:
    desk.alias("sales@example.org", ANN)
    assert (await desk.talk.send(MESSAGE + b"REJECT\r\n", "sales@example.org")).startswith("554")
    assert not desk.post.spool.items


async def test_t_relay_15_what_an_alias_has_forwarded_before_is_refused(desk: Desk) -> None:
    desk.alias("sales@example.org", ANN)
    looped = b"Delivered-To: Sales@example.org\r\n" + MESSAGE
    assert (await desk.talk.send(looped, "sales@example.org")).startswith("554 5.4.6")
    assert (await desk.talk.send(looped, ALICE)).startswith("250")


@pytest.mark.parametrize(
    ("alias", "first", "then"),
    [
        ("sales@example.org", "Sales+1@example.org", "sales+2@example.org"),
        ("sales@example.org", "sales@example.org", "SALES+2@example.org"),
        ("@example.org", "any+thing@example.org", "other@example.org"),
    ],
)
async def test_t_relay_15_a_circle_in_which_the_address_changes_ends_as_well(
    desk: Desk, alias: str, first: str, then: str
) -> None:
    desk.alias(alias, ANN)
    assert (await desk.talk.send(MESSAGE, first)).startswith("250")
    _, (ann,) = desk.taken()
    assert ann.edits == (AddHeader("Delivered-To", first),) and ann.asked == first
    looped = f"Delivered-To: {first}\r\n".encode() + MESSAGE
    assert (await desk.talk.send(looped, then)).startswith("554 5.4.6")
    assert (await desk.talk.send(looped, ALICE)).startswith("250")


async def test_t_relay_15_what_another_alias_or_server_has_forwarded_is_no_circle(desk: Desk) -> None:
    desk.alias("sales@example.org", ANN)
    desk.alias("sales+list@example.org", ANN)
    desk.alias("@example.org", ANN)
    passed = [ALICE, "ann@far.example", "sales@example.org", "x" * 300, "<>", *(f"a{n}@far.example" for n in range(100))]
    octets = b"".join(f"Delivered-To: {text}\r\n".encode() for text in passed) + MESSAGE
    for to in ("sales+list@example.org", "anybody@example.org"):
        assert (await desk.talk.send(octets, to)).startswith("250")
    assert (await desk.talk.send(octets, "sales@example.org")).startswith("554 5.4.6")


async def test_rfc_3464_2_3_3_of_several_ends_the_alias_tells_that_it_was_expanded(desk: Desk) -> None:
    desk.alias("sales@example.org", ALICE, BOB)
    rcpt = "RCPT TO:<sales@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;first@example.net"
    await desk.talk.say("EHLO c", "MAIL FROM:<a@example.net>", rcpt, "DATA", MESSAGE + b".\r\n")
    _, (alice, bob, sales) = desk.taken()
    assert (alice.parameters.notify, bob.parameters.notify) == (("FAILURE",), ("FAILURE",))
    assert alice.parameters.original_recipient == bob.parameters.original_recipient == "rfc822;first@example.net"
    told = RcptParameters(("SUCCESS",), "rfc822;first@example.net")
    assert (sales.forward_path, sales.route, sales.parameters) == ("sales@example.org", "expanded", told)


@pytest.mark.parametrize(("ends", "notify"), [((ALICE,), "SUCCESS"), ((ALICE, BOB), "FAILURE"), ((ALICE, BOB), "NEVER")])
async def test_nothing_is_told_of_an_alias_with_one_end_or_where_nobody_asked(
    desk: Desk, ends: tuple[str, ...], notify: str
) -> None:
    desk.alias("sales@example.org", *ends)
    rcpt = f"RCPT TO:<sales@example.org> NOTIFY={notify}"
    await desk.talk.say("EHLO c", "MAIL FROM:<a@example.net>", rcpt, "DATA", MESSAGE + b".\r\n")
    _, recipients = desk.taken()
    assert [(one.route, one.parameters.notify) for one in recipients] == [("mailbox", (notify,))] * len(ends)


async def test_rfc_5321_3_9_2_a_list_has_its_owner_as_reverse_path_and_its_own_reports(desk: Desk) -> None:
    desk.alias("team@example.org", BOB, ANN, owner=ALICE)
    rcpt = "RCPT TO:<team@example.org> NOTIFY=SUCCESS"
    await desk.talk.say("EHLO c", "MAIL FROM:<a@example.net>", rcpt, "DATA", MESSAGE + b".\r\n")
    item, recipients = desk.taken()
    assert item.reverse_path == "a@example.net"
    assert [item.reverse_path_of(index) for index in range(2)] == [ALICE, ALICE]
    assert [r.parameters.notify for r in recipients] == [(), ()]


async def test_a_report_to_a_list_stays_a_report(desk: Desk) -> None:
    desk.alias("team@example.org", BOB, owner=ALICE)
    await desk.talk.send(MESSAGE, "team@example.org", mail_from="")
    item, _ = desk.taken()
    assert item.reverse_path_of(0) == ""


@pytest.mark.parametrize("member", [ALICE, BOB, "Bob+x@example.org", ANN])
async def test_members_and_the_owner_may_post(desk: Desk, member: str) -> None:
    desk.alias("team@example.org", BOB, ANN, owner=ALICE, members_only=True)
    assert (await desk.talk.send(MESSAGE, "team@example.org", mail_from=member)).startswith("250")


@pytest.mark.parametrize("stranger", ["a@example.net", "", ALICE, "nobody@example.org", "team@example.org", "x" + ANN])
async def test_nobody_else_may_post_to_members(desk: Desk, stranger: str) -> None:
    desk.alias("team@example.org", BOB, ANN, owner=BOB, members_only=True)
    answers = await desk.talk.say("EHLO c", f"MAIL FROM:<{stranger}>", "RCPT TO:<team@example.org>")
    assert answers[-1].startswith("550 5.7.2"), answers


@pytest.mark.parametrize("way", ["team@example.com", "all@example.org", "team+x@example.org"])
async def test_no_other_alias_leads_past_the_members(desk: Desk, way: str) -> None:
    desk.directory.add_domain("example.com")
    desk.alias("team@example.org", BOB, ANN, owner=BOB, members_only=True)
    desk.alias("@example.com", "@example.org")
    desk.alias("all@example.org", "team@example.org")
    answers = await desk.talk.say("EHLO c", "MAIL FROM:<a@example.net>", f"RCPT TO:<{way}>")
    assert answers[-1].startswith("550 5.7.2"), answers
    assert (await Talk(desk.post).send(MESSAGE, way, mail_from=BOB)).startswith("250")


async def test_mail_goes_to_those_it_reaches_without_the_members_list(desk: Desk) -> None:
    desk.alias("team@example.org", BOB, owner=BOB, members_only=True)
    desk.alias("all@example.org", "team@example.org", ALICE)
    assert (await desk.talk.send(MESSAGE, "all@example.org", mail_from="a@example.net")).startswith("250")
    item, _ = desk.taken()
    assert [recipient.forward_path for recipient in item.recipients] == [ALICE]


async def test_a_forward_is_no_open_relay_t_relay_01(desk: Desk) -> None:
    desk.alias("sales@example.org", ANN)
    answers = await desk.talk.say("EHLO c", "MAIL FROM:<a@example.net>", f"RCPT TO:<{ANN}>", "RCPT TO:<x@far.example>")
    assert all(answer.startswith("554 5.7.1") for answer in answers[-2:])


async def test_t_relay_12_an_alias_is_no_name_to_send_by(desk: Desk) -> None:
    desk.alias("sales@example.org", ALICE)
    talk = Talk(desk.post, Role.SUBMISSION)
    login = "AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA=="
    assert (await talk.say("EHLO c", login, "MAIL FROM:<sales@example.org>"))[-1].startswith("553 5.7.1")


async def test_lmtp_takes_mail_for_aliases_too(desk: Desk) -> None:
    desk.alias("sales@example.org", ANN)
    talk = Talk(desk.post, lmtp=True)
    answers = await talk.say("LHLO c", "MAIL FROM:<a@example.net>", "RCPT TO:<sales@example.org>", "RCPT TO:<x@gateway.example>")
    assert answers[-2:] == ["250 2.1.5 OK", answers[-1]] and answers[-1].startswith("554")


async def test_t_relay_01_a_rewritten_address_split_elsewhere_reaches_nobody_here(desk: Desk) -> None:
    """The hash is postsrsd's, over the parts without what stands between them."""
    desk.alias("sales@example.org", ANN)
    assert (await desk.talk.send(MESSAGE, "sales@example.org", mail_from="gbob@example.or")).startswith("250")
    item, _ = desk.taken()
    made = item.reverse_path_of(0)
    assert "=example.or=gbob@" in made
    forged = made.replace("=example.or=gbob@", "=example.org=bob@")
    for address in (forged, made):
        answers = await Talk(desk.post).say("EHLO c", "MAIL FROM:<a@example.net>", f"RCPT TO:<{address}>")
        assert answers[-1].startswith("550 5.7.1"), answers
    answers = await Talk(desk.post).say("EHLO c", "MAIL FROM:<>", f"RCPT TO:<{forged}>", f"RCPT TO:<{made}>")
    assert [answer[:9] for answer in answers[-2:]] == ["550 5.1.1", "250 2.1.5"]
