"""A stored copy is put back to the octets that came, proven by their hashes, or it is not."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.arrived import MOST_REMOVED_OCTETS, as_arrived, removed_by
from mailward.formats.edits import render
from mailward.formats.header import header_end
from mailward.model.edits import AddHeader, PrefixSubject, RecordedEdit, RemoveFieldAt, RemoveHeader, ReplaceHeader, ReplacePart

MAIL = (
    b"Received: from a by b with ESMTP id other; Thu, 1 Jan 2026 12:00:00 +0000\r\nFrom: a@example.net\r\n"
    b"Subject: hello\r\nX-Seen: no\r\n\r\nSubject: body\r\nText\r\n"
)
TOP = (
    b"Return-Path: <a@example.net>\r\nAuthentication-Results: mx.example.org;\r\n\tspf=pass\r\n"
    b"Received: from a by mx.example.org with ESMTP id 01k9w3c5v7q2x8ab;\r\n\tThu, 1 Jan 2026 12:00:00 +0000\r\n"
)


def back(stored: bytes, came: bytes, *edits: RecordedEdit) -> bytes | None:
    """edits: of which what they remove was kept."""
    header, whole = hashlib.sha256(came[: header_end(came)]).digest(), hashlib.sha256(came).digest()
    return as_arrived(stored, len(came), header, whole, removed_by(came, edits))


@pytest.mark.parametrize(
    "edits",
    [
        (),
        (AddHeader("X-Spam-Status", "No " * 60),),
        (PrefixSubject("[external] "),),
        (PrefixSubject("[außen] "), AddHeader("X-Seen", "yes"), AddHeader("X-Other", "yes")),
        (PrefixSubject("[a] "), PrefixSubject("[b] ")),
    ],
    ids=["nothing", "a field", "a prefix", "both", "two prefixes"],
)
def test_what_was_put_on_top_goes_off_again(edits: tuple[RecordedEdit, ...]) -> None:
    for came in (
        MAIL,
        MAIL.replace(b"Subject: hello\r\n", b""),
        b"\r\nno header\r\n",
        MAIL.replace(b"Subject: hello", b"Subject:\r\n =?utf-8?q?h=C3=A4?=\r\n there"),
        MAIL.replace(b"X-Seen", b"subject:again\r\nX-Seen"),
        MAIL.replace(b"Subject: hello", b"Subject: " + b"long " * 30),
    ):
        assert back(TOP + render(came, edits), came) == came


@pytest.mark.parametrize(
    "edit",
    [
        RemoveHeader("X-Seen"),
        RemoveFieldAt(1),
        ReplaceHeader("From", "b@example.net"),
        ReplacePart("", "text/plain", b"other"),
    ],
    ids=["removed", "removed by number", "replaced", "another body"],
)
def test_what_was_taken_away_is_not_made_up(edit: RecordedEdit) -> None:
    assert back(TOP + render(MAIL, [edit]), MAIL) is None


def test_fields_that_were_taken_away_are_put_back_where_they_stood() -> None:
    came = b"Return-Path: <x@a.example>\r\n" + MAIL.replace(b"X-Seen", b"x-spam: a\r\n b\r\nFrom: second\r\nX-SPAM: c\r\nX-Seen")
    edits = (RemoveHeader("Return-Path"), RemoveHeader("X-Spam"), RemoveHeader("From", 1), RemoveFieldAt(6), RemoveFieldAt(99))
    stored = TOP + render(came, (*edits, AddHeader("X-Spam", "no"), PrefixSubject("[a] ")))
    assert stored.count(b"second") == 0 and back(stored, came, *edits) == came
    large = MAIL.replace(b"X-Seen: no", b"X-Seen: " + b"no " * MOST_REMOVED_OCTETS)
    assert back(TOP + render(large, [RemoveHeader("X-Seen")]), large, RemoveHeader("X-Seen")) is None


def test_another_body_of_the_same_length_is_seen() -> None:
    assert back(TOP + MAIL.replace(b"Text", b"Tent"), MAIL) is None
    assert back(b"", MAIL) is None and back(b"no mail", MAIL) is None


@given(st.binary(max_size=300), st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=30))
def test_it_is_what_came_or_nothing(came: bytes, prefix: str) -> None:
    for edits in ((), (PrefixSubject(prefix),), (AddHeader("X-A", "b"), PrefixSubject(prefix))):
        assert back(TOP + render(came, edits), came) in (came, None)
