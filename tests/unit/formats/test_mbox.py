"""mbox files: where messages lie, as `tests/unit/app/test_mailfiles.py` compares with Python's own module; dates, flags, quoting."""

from datetime import UTC, datetime

import pytest

from mailward.formats.mbox import Kept, kept_of, message_spans, postmark_before, unquoted, written

LINE = b"From a@example.net Mon Nov  2 10:00:00 2026\n"


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"", []),
        (b"Subject: x\n\ntext\n", []),
        (b"From here it is text\n", []),
        (LINE + b"A: 1\n\none\n\n" + LINE + b"A: 2\n\ntwo\n\n", [b"A: 1\n\none\n", b"A: 2\n\ntwo\n"]),
        (LINE + b"A: 1\n\none\n\n\n" + LINE + b"A: 2\n", [b"A: 1\n\none\n\n", b"A: 2\n"]),
        (LINE + b"A: 1\n\nx\nFrom a\n\nFrom b to c\n", [b"A: 1\n\nx\nFrom a\n\nFrom b to c\n"]),
        ((LINE + b"A: 1\n\none\n\n").replace(b"\n", b"\r\n") * 2, [b"A: 1\r\n\r\none\r\n"] * 2),
    ],
)
def test_each_message_without_its_line_and_the_empty_one(octets: bytes, expected: list[bytes]) -> None:
    assert [octets[begin:end] for begin, end in message_spans(octets)] == expected


HEAD = b"Subject: x\r\n"


@pytest.mark.parametrize(
    ("postmark", "expected"),
    [
        (b"From a@example.net Mon Nov  2 10:00:00 2026\n", "2026-11-02T10:00:00+00:00"),
        (b"From a@example.net  Mon Nov  2 10:00:00 2026 +0100\n", "2026-11-02T09:00:00+00:00"),
        (b"From MAILER-DAEMON Mon Nov 02 10:00:00 2026\n", "2026-11-02T10:00:00+00:00"),
        (b"From somebody\n", None),
        (b"From a Mon Xxx 99 10:00:00 2026\n", None),
    ],
)
def test_the_postmark_tells_when_it_came(postmark: bytes, expected: str | None) -> None:
    at = postmark_before(b"x\n\n" + postmark + HEAD, 3 + len(postmark))
    assert (at.isoformat() if at else None) == expected


def test_quoting_is_undone_as_it_was_done() -> None:
    octets = b"A: 1\r\n\r\n>From a\r\n>>From b\r\n> From c\r\n"
    assert unquoted(octets, "mboxrd") == b"A: 1\r\n\r\nFrom a\r\n>From b\r\n> From c\r\n"
    assert unquoted(octets, "mboxo") == b"A: 1\r\n\r\nFrom a\r\n>>From b\r\n> From c\r\n"


def test_status_fields_are_read_and_taken_away() -> None:
    octets = (
        b"X-IMAPbase: 1100000000 0000000012 $Label1\r\nX-UID: 7\r\nStatus: RO\r\nSubject: x\r\nX-Status: AF\r\n"
        b"X-Keywords: $Label1\r\n NonJunk  \r\n\r\nStatus: O\r\n"
    )
    flags = ("\\Seen", "\\Answered", "\\Flagged", "$Label1", "NonJunk")
    assert kept_of(octets) == Kept(b"Subject: x\r\n\r\nStatus: O\r\n", flags, 7, (1_100_000_000, 12))
    assert kept_of(b"Subject: x\r\n\r\n") == Kept(b"Subject: x\r\n\r\n")


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        (b"X-Mozilla-Status: 0000\r\nX-Mozilla-Status2: 00010000\r\n", ()),
        (b"X-Mozilla-Status: 0001\r\nX-Mozilla-Status2: 00000000\r\nX-Mozilla-Keys:      \r\n", ("\\Seen",)),
        (b"X-Mozilla-Status: 1017\r\n", ("\\Seen", "\\Answered", "\\Flagged", "$Forwarded")),
        (
            b"X-Account-Key: account1\r\nX-UIDL: 4a\r\nx-mozilla-status: 0001\r\nX-Mozilla-Keys: $label1\r\n",
            ("\\Seen", "$label1"),
        ),
        (b"X-Mozilla-Status: 0000\r\nX-Mozilla-Keys: $label1 $label3\r\n\tNonJunk\r\n", ("$label1", "$label3", "NonJunk")),
        (b"X-Mozilla-Status: 0001\r\nX-Mozilla-Status2: 00800000\r\n", ("\\Seen", "$MDNSent")),
        (b"X-Mozilla-Status: seen\r\n", ()),
    ],
)
def test_what_thunderbird_knows_of_a_message(fields: bytes, flags: tuple[str, ...]) -> None:
    kept = kept_of(fields + b"Received: x\r\nX-Mozilla-Status: 0006\r\n\r\n")
    assert kept.flags == flags
    assert kept.octets.endswith(b"Received: x\r\nX-Mozilla-Status: 0006\r\n\r\n"), "what came with the message stays"
    assert kept.octets.startswith((b"Received", b"X-Account-Key: account1\r\nX-UIDL: 4a\r\nReceived"))


def test_only_thunderbird_expunges_and_no_sender() -> None:
    assert kept_of(b"X-Mozilla-Status: 0009\r\nSubject: x\r\n\r\n").is_expunged
    assert not kept_of(b"Return-Path: <>\r\nX-Mozilla-Status: 0009\r\n\r\n").is_expunged


@pytest.mark.parametrize("octets", [b"A: 1\r\n\r\nFrom x\r\n>From y\r\n", b"A: 1\r\n\r\n", b"A: 1\r\n\r\nno end of line"])
def test_what_is_written_is_read_again(octets: bytes) -> None:
    kept = Kept(octets, ("\\Seen", "\\Deleted", "$Label1"), 4, (5, 6))
    at = datetime(2026, 11, 2, 10, 0, 3, tzinfo=UTC)
    box = written(kept, "a@example.net", at) * 2
    spans = message_spans(box)
    assert len(spans) == 2
    for begin, end in spans:
        again = kept_of(unquoted(box[begin:end].replace(b"\n", b"\r\n"), "mboxrd"))
        assert (again.octets.rstrip(b"\r\n"), set(again.flags), again.uid, again.base) == (
            octets.rstrip(b"\r\n"), set(kept.flags), 4, (5, 6),
        )  # fmt: skip
        assert postmark_before(box, begin) == at
