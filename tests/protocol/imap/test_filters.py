"""Which mailboxes ESEARCH and NOTIFY name: the words of RFC 5465 section 6 and RFC 7377 section 2.2, within limits."""

from collections.abc import Collection

import pytest

from mailward.protocol.imap.arguments import Arguments, BadSyntax
from mailward.protocol.imap.filters import MAX_FILTERS, MAX_NAMES, Kind, MailboxFilter, read_filter, read_sources
from mailward.protocol.imap.names import decode_name

NOTIFY: Collection[Kind] = ("selected", "selected-delayed", "personal", "subtree", "mailboxes")


def sources(text: str) -> list[MailboxFilter]:
    arguments = Arguments(text.encode("ascii"))
    found = read_sources(arguments, decode_name)
    assert arguments.looks_like(b"ALL"), "what follows is the rest of the command"
    return found


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("", [MailboxFilter("selected")]),
        ("IN (selected) ", [MailboxFilter("selected")]),
        ("in (PERSONAL Inboxes subscribed) ", [MailboxFilter("personal"), MailboxFilter("inboxes"), MailboxFilter("subscribed")]),
        (
            'IN (mailboxes "folder1" subtree "folder2") ',  # the first example of RFC 7377 section 2.1
            [MailboxFilter("mailboxes", frozenset({"folder1"})), MailboxFilter("subtree", frozenset({"folder2"}))],
        ),
        (
            "IN (subtree-one (inbox a/b &AOk-t&AOk- a/b)) ",
            [MailboxFilter("subtree-one", frozenset({"INBOX", "a/b", "\u00e9t\u00e9"}))],
        ),
    ],
)
def test_the_sources_of_a_search(text: str, filters: list[MailboxFilter]) -> None:
    assert sources(text + "ALL") == filters


@pytest.mark.parametrize(
    "text",
    ["IN ", "IN () ", "IN (personal", "IN (personal)", "IN (selected-delayed) ", "IN (elsewhere) ", "IN (subtree) ",
     "IN (mailboxes ()) ", "IN (mailboxes (a)b) ", "IN (personal  inboxes) "],
)  # fmt: skip
def test_what_is_no_source_is_bad(text: str) -> None:
    with pytest.raises(BadSyntax):
        sources(text + "ALL")


def test_who_reads_a_filter_says_which_words_there_are() -> None:
    """selected-delayed is a word of NOTIFY alone (RFC 5465 section 6.2), subtree-one one of ESEARCH alone (RFC 7377)."""
    assert read_filter(Arguments(b"Selected-Delayed"), decode_name, NOTIFY) == MailboxFilter("selected-delayed")
    with pytest.raises(BadSyntax):
        read_filter(Arguments(b"subtree-one a"), decode_name, NOTIFY)


def test_sets_of_mailboxes_have_an_end() -> None:
    assert len(sources(f"IN ({' '.join(['personal'] * MAX_FILTERS)}) ALL")) == MAX_FILTERS
    with pytest.raises(BadSyntax):
        sources(f"IN ({' '.join(['personal'] * (MAX_FILTERS + 1))}) ALL")


def test_names_have_an_end_in_all_sets_together() -> None:
    half = " ".join(f"b{n}" for n in range(MAX_NAMES // 2))
    assert sum(len(one.names) for one in sources(f"IN (mailboxes ({half}) subtree ({half})) ALL")) == MAX_NAMES
    with pytest.raises(BadSyntax):
        sources(f"IN (mailboxes ({half}) subtree ({half}) mailboxes one) ALL")
