"""The relay guard, fed as the machine feeds it: from the text of a RCPT command (T-RELAY-01 to 09)."""

from pathlib import Path

import pytest

from mailward.app.alone import config_of_nothing
from mailward.app.recipients import address_of, recipients_in, recipients_of
from mailward.directory import Alias, Directory
from mailward.intake.refusing import CoreRefusal
from mailward.intake.relaying import Destination, RelayGuard
from mailward.model.address import Address, ForwardPath, ReversePath
from mailward.model.identity import Identity
from mailward.model.ids import AccountId
from mailward.model.replies import RELAY_DENIED, UNKNOWN_RECIPIENT
from mailward.model.reply import Reply
from mailward.protocol.smtp.params import parse_rcpt
from mailward.protocol.smtp.refused import RefusedError
from support.smtp_reception import SRS, post

STRANGER = ReversePath(Address("ann", "elsewhere.example"))


@pytest.fixture
def guard(tmp_path: Path) -> RelayGuard:
    return post(tmp_path).desk.guard


def rcpt(guard: RelayGuard, path: str) -> Destination | Reply:
    try:
        found = guard.destination(parse_rcpt(b"TO:" + path.encode(), extended=True, smtputf8=True)[0], None, STRANGER)
    except RefusedError as refused:
        return refused.reply
    return found.reply if isinstance(found, CoreRefusal) else found


@pytest.mark.parametrize(
    "path",
    [
        "<x@outside.example>",
        "<outside!x@other.example>",
        "<@example.org:x@outside.example>",
        "<@example.org,@b.example:x@outside.example>",
    ],
)
def test_t_relay_01_03_other_domains_are_refused(guard: RelayGuard, path: str) -> None:
    assert rcpt(guard, path) is RELAY_DENIED


def test_a_recipient_is_in_the_groups_of_the_mailboxes_that_it_leads_to(guard: RelayGuard, tmp_path: Path) -> None:
    directory = Directory(tmp_path / "directory.sqlite")
    alice, bob = (account.id for account in directory.accounts())
    directory.add_to_group("finance", [alice])
    directory.add_to_group("sales", [bob])
    directory.add_alias(Alias(Address("both", "example.org"), (Address("bob", "example.org"), Address("alice", "example.org"))))
    groups = {"<alice@example.org>": ("finance",), "<both@example.org>": ("finance", "sales"), "<x@void.example>": ()}
    for path, expected in groups.items():
        found = rcpt(guard, path)
        assert isinstance(found, Destination) and found.facts.groups == expected


def test_what_leads_to_a_mailbox_is_known_by_it_at_rcpt_and_afterwards(guard: RelayGuard, tmp_path: Path) -> None:
    directory = Directory(tmp_path / "directory.sqlite")
    alice, bob = Address("Alice", "example.org"), Address("bob", "example.org")
    directory.add_address(Address("ann", "example.org"), directory.accounts()[0].id)
    directory.add_address(Address("bob+own", "example.org"), directory.accounts()[0].id)
    directory.add_alias(Alias(Address("both", "example.org"), (bob, alice, Address("x", "outside.example"))))
    both = ("bob@example.org", "alice@example.org")
    known = {
        "<ALICE+x@example.org>": (both[1:], "x"),
        "<ann+Y@example.org>": (both[1:], "Y"),
        "<bob+own@example.org>": (both[1:], ""),
        "<bob+owner@example.org>": (both[:1], "owner"),
        "<both+z@example.org>": (both, "z"),
        "<x+y@void.example>": ((), "y"),
    }
    afterwards, config = recipients_in(directory), config_of_nothing(tmp_path)
    for path, expected in known.items():
        found = rcpt(guard, path)
        assert isinstance(found, Destination) and (found.facts.mailboxes, found.facts.tag) == expected
        assert afterwards(path.strip("<>")) == found.facts
        assert recipients_of(config, [ForwardPath(address_of(path.strip("<>")))]) == [found.facts]


@pytest.mark.parametrize(
    "path",
    [
        "<x%outside.example@example.org>",
        '<"x%outside.example"@example.org>',
        "<outside.example!x@example.org>",
        '<"x@outside.example"@example.org>',
        '<"a\\"@b"@example.org>',
        '<""@example.org>',
        "<;id@example.org>",
        "<$(id)@example.org>",
        "<-f@example.org>",
        "<%s@example.org>",
        "</etc/passwd@example.org>",
        "<a'or'1@example.org>",
        "<*@example.org>",
        "<%d%n%{user}@example.org>",
    ],
)
def test_t_relay_02_04_07_08_09_the_local_part_is_opaque(guard: RelayGuard, path: str) -> None:
    answer = rcpt(guard, path)
    assert isinstance(answer, Reply)
    assert answer is UNKNOWN_RECIPIENT or answer.code == 553


@pytest.mark.parametrize(
    "path",
    [
        "<x%outside.example>",
        '<"x@outside.example">',
        "<x@example.org.>",
        "<x@example.org..>",
        "<a@b@example.org>",
        "<a(b)@example.org>",
        "<a @example.org>",
        "< alice@example.org >",
        "alice@example.org",
        "<| id@example.org>",
        "<>",
        "<",
        '<">',
        "",
    ],
)
def test_t_relay_02_05_06_what_is_no_path_is_a_syntax_error(guard: RelayGuard, path: str) -> None:
    answer = rcpt(guard, path)
    assert isinstance(answer, Reply) and answer.code in (501, 553)


@pytest.mark.parametrize("path", ["<alice@[127.0.0.1]>", "<alice@[IPv6:::1]>", "<alice@localhost>", "<alice@mx.example.org>"])
def test_t_relay_05_our_names_and_addresses_are_no_domains_of_ours(guard: RelayGuard, path: str) -> None:
    answer = rcpt(guard, path)
    assert isinstance(answer, Reply) and answer.code >= 550


@pytest.mark.parametrize(
    "path",
    [
        "<alice@example.org>",
        "<ALICE@EXAMPLE.ORG>",
        "<alice+tag@example.org>",
        "<@a.example:alice@example.org>",
        '<"alice"@example.org>',
    ],
)
def test_our_mailboxes_in_any_spelling(guard: RelayGuard, path: str) -> None:
    found = rcpt(guard, path)
    assert isinstance(found, Destination)
    (end,) = found.ends
    assert end.route == "mailbox" and end.account and found.facts.is_local and found.facts.domain == "example.org"


def test_the_tag_is_a_fact(guard: RelayGuard) -> None:
    found = rcpt(guard, "<alice+news@example.org>")
    assert isinstance(found, Destination)
    assert (found.facts.local_part, found.facts.tag, found.facts.address) == ("alice+news", "news", "alice+news@example.org")


@pytest.mark.parametrize("path", ["<postmaster>", "<Postmaster>", "<POSTMASTER@example.org>"])
def test_t_relay_05_postmaster_is_always_taken(guard: RelayGuard, path: str) -> None:
    assert isinstance(rcpt(guard, path), Destination)


def test_t_relay_05_a_u_label_is_its_a_label(tmp_path: Path) -> None:

    directory = Directory(tmp_path / "directory.sqlite")
    directory.add_domain("xn--bcher-kva.example")
    directory.add_account(Address("alice", "xn--bcher-kva.example"))
    guard = RelayGuard(directory, SRS, ())
    for path in ("<alice@bücher.example>", "<alice@xn--bcher-kva.example>", "<alice@BÜCHER.example>"):
        assert isinstance(rcpt(guard, path), Destination)


def test_a_routed_domain_is_taken_without_a_mailbox(guard: RelayGuard) -> None:
    found = rcpt(guard, "<anything@void.example>")
    assert isinstance(found, Destination)
    assert (found.ends[0].route, found.ends[0].account, found.facts.is_local) == ("discard", None, False)
    assert rcpt(guard, "<x@sub.void.example>") is RELAY_DENIED


def test_a_relay_domain_is_taken_from_anybody_and_goes_on(guard: RelayGuard) -> None:
    found = rcpt(guard, "<anything@gateway.example>")
    assert isinstance(found, Destination)
    assert (found.ends[0].route, found.ends[0].account, found.facts.is_local) == ("relay", None, False)


def test_t_relay_01_a_route_for_all_domains_opens_no_relay(tmp_path: Path) -> None:
    directory = Directory(tmp_path / "directory.sqlite")
    guard = RelayGuard(directory, SRS, (), {"*"})
    assert rcpt(guard, "<x@outside.example>") is RELAY_DENIED


def test_who_has_logged_in_may_send_anywhere(guard: RelayGuard) -> None:
    path, _ = parse_rcpt(b"TO:<x@outside.example>", extended=True, smtputf8=False)
    found = guard.destination(path, Identity(AccountId("a1"), "alice@example.org"), STRANGER)
    assert isinstance(found, Destination) and found.ends[0].route == "relay"
