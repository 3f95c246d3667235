"""Addresses, dates, identifiers and texts of header fields as others read them; where we differ, the reason stands beside it."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailward.formats.address_lists import read_address_list
from mailward.formats.dates import read_date
from mailward.formats.header import unfold
from mailward.formats.identifiers import read_identifiers
from mailward.formats.mailboxes import AddressList, Group, Mailbox
from mailward.formats.words import decode_words
from support.corpora import corpus, corpus_json

_STRICTER = {
    "ISEMAIL_DEPREC_QTEXT": "RFC 5322 section 4.1: control characters MUST NOT be generated; no Address of ours holds one",
    "ISEMAIL_DEPREC_QP": "RFC 5322 section 4.1: control characters MUST NOT be generated; no Address of ours holds one",
}
_LAXER = {
    "ISEMAIL_ERR_EXPECTING_QPAIR": "RFC 6532 section 3.2: VCHAR takes UTF-8, so a quoted-pair may",
    "ISEMAIL_ERR_FWS_CRLF_END": "line ends are no part of a value: it is unfolded before it is read",
    "ISEMAIL_ERR_EXPECTING_CTEXT": "the same; a message with a bare LF has an anomaly of that name",
}


def _isemail() -> Iterator[Any]:
    for file in ("tests.xml", "tests-original.xml"):
        for test in ET.parse(corpus("isemail", file)).getroot().iter("test"):
            # Control characters are written as U+2400 and their number.
            address = "".join(chr(ord(c) - 0x2400) if 0x2400 <= ord(c) <= 0x2420 else c for c in test.findtext("address") or "")
            diagnosis = test.findtext("diagnosis") or ""
            yield pytest.param(address, test.findtext("category"), diagnosis, id=f"{file}-{test.get('id')}-{diagnosis}")


@pytest.mark.parametrize(("address", "category", "diagnosis"), list(_isemail()))
def test_isemail_in_a_header(address: str, category: str, diagnosis: str) -> None:
    """All but ISEMAIL_ERR is of RFC 5322's grammar; what is fit for SMTP names an address."""
    found = read_address_list(unfold(address.encode()))
    if category == "ISEMAIL_ERR":
        # CR and LF around a value are no part of it either.
        assert found.is_malformed or diagnosis in _LAXER or address != address.strip("\r\n")
        return
    (mailbox,) = found.mailboxes
    if diagnosis in _STRICTER:
        assert mailbox.address is None
        return
    assert mailbox.local_part_octets or '""' in address
    assert mailbox.domain_octets
    if category != "ISEMAIL_RFC5322":  # a domain of its grammar that no host can have, or one that is too long
        assert mailbox.address is not None
        assert not found.is_malformed


def _stalwart(kind: str) -> list[Any]:
    vectors = corpus_json("mime", "stalwart-field-vectors.json")
    assert isinstance(vectors, dict)
    return [pytest.param(vector["header"], vector["expected"], id=repr(vector["header"][:50])) for vector in vectors[kind]]


def _value(header: str) -> bytes:
    return unfold(header.encode())


_OTHER_NAMES = {
    "Pete(A nice": "Stalwart joins all comments to the name; RFC 5322 section 3.2.2: they are no part of it",
    "John Doe <jdoe@machine(comment)": "the same",
    "Name (comment)": "the same",
}
_OTHER_ADDRESSES = {
    "Mary Smith <@node": "RFC 5322 section 4.4: the route SHOULD be ignored, it is no part of the address",
    "John Doe <jdoe@machine(comment)": "RFC 5322 section 4.4: blanks around dots of a domain are no part of it",
    "<a@b.com> =?utf-8?q?Doe?=": "a phrase stands before the angle brackets (RFC 5322 section 3.4), not behind them",
}
_NO_MAILBOXES = ("mailto:", "http", "ftp:", "NO (")
"""Of List-Post and its kin, which are no address lists (RFC 2369)."""


def _plain_boxes(boxes: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(box["name"] or "", box["address"]) for box in boxes]


def _read_boxes(mailboxes: tuple[Mailbox, ...]) -> list[tuple[str, str]]:
    return [(m.display_name, b"@".join((m.local_part_octets, m.domain_octets)).decode()) for m in mailboxes]


@pytest.mark.parametrize(("header", "expected"), _stalwart("address"))
def test_stalwart_addresses(header: str, expected: dict[str, Any]) -> None:
    if any(mark in header for mark in _NO_MAILBOXES):
        assert read_address_list(_value(header)).is_malformed
        return
    ours, theirs = _groups(read_address_list(_value(header))), _expected_groups(expected)
    if any(header.startswith(start) for start in _OTHER_NAMES):
        theirs = [[(our[0], their[1]) for our, their in zip(*pair, strict=True)] for pair in zip(ours, theirs, strict=True)]
    if any(header.startswith(start) for start in _OTHER_ADDRESSES):
        assert ours != theirs
    else:
        assert ours == theirs


def _groups(found: AddressList) -> list[list[tuple[str, str]]]:
    """The mailboxes of each group, and those between two groups."""
    lists: list[list[tuple[str, str]]] = []
    was_group = True
    for entry in found.entries:
        if isinstance(entry, Group):
            lists.append(_read_boxes(entry.mailboxes))
        elif was_group:
            lists.append(_read_boxes((entry,)))
        else:
            lists[-1] += _read_boxes((entry,))
        was_group = isinstance(entry, Group)
    return lists


def _expected_groups(expected: dict[str, Any]) -> list[list[tuple[str, str]]]:
    if "List" in expected:
        return [_plain_boxes(expected["List"])]
    return [_plain_boxes(group["addresses"]) for group in expected["Group"]]


_NO_DATE_FOR_US = {
    "20 11": "a month as number: nobody knows which number it is",
    " 4 8 15": "the same",
    "by 2002:": "a Received field, of which the date-time is only the end",
}


@pytest.mark.parametrize(("header", "expected"), _stalwart("date"))
def test_stalwart_dates(header: str, expected: dict[str, int] | None) -> None:
    date = read_date(_value(header))
    if expected is None or any(header.startswith(start) for start in _NO_DATE_FOR_US):
        assert date is None
        return
    assert date is not None
    zone = timedelta(hours=expected["tz_hour"], minutes=expected["tz_minute"]) * (-1 if expected["tz_before_gmt"] else 1)
    local = datetime(*(expected[name] for name in ("year", "month", "day", "hour", "minute", "second")), tzinfo=UTC)  # type: ignore[arg-type, misc]
    assert date.at == local - zone
    assert timedelta(minutes=date.zone_minutes or 0) == zone


@pytest.mark.parametrize("vector", corpus_json("imap", "dovecot-unit-vectors.json")["date"], ids=lambda v: v["input"])  # type: ignore[index]
def test_dovecot_dates(vector: dict[str, str]) -> None:
    date = read_date(vector["input"].encode())
    if vector["ok"] == "FALSE":
        assert date is None
        return
    assert date is not None
    minutes = 1
    for factor in vector["tz_minutes"].split("*"):
        minutes *= int(factor)
    assert (date.at_s, date.zone_minutes or 0) == (int(vector["epoch"].rstrip("U")), minutes)


_OPAQUE = {
    "<1234   @": "RFC 5322 section 4.5.4: blanks and comments are no part of it",
    "   m": "no angle brackets and no at sign: no identifier",
}


@pytest.mark.parametrize(("header", "expected"), _stalwart("id"))
def test_stalwart_identifiers(header: str, expected: list[str]) -> None:
    ids = [each[1:-1] for each in read_identifiers(_value(header)).ids]
    assert ids == expected or any(header.startswith(start) for start in _OPAQUE)


_OTHER_TEXTS = {"=?utf-8?Q?Hello\n", "=?utf-8?Q?Hello\r\n"}
"""A line break inside an encoded-word: RFC 2047 section 2 forbids it, and the blank behind it is as good as the one before."""


@pytest.mark.parametrize(("header", "expected"), _stalwart("unstructured"))
def test_stalwart_texts(header: str, expected: str) -> None:
    # Stalwart runs the blanks of folding together.
    text = decode_words(_value(header))
    assert " ".join(text.split()) == " ".join(expected.split())
    assert header.startswith(tuple(_OTHER_TEXTS)) or "\n " in header or text == expected
