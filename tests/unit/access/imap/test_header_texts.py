"""Header fields are looked into as a reading of the header gives them, however they are written."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.access.imap.header_texts import field_texts, is_in_header, texts_of
from mailward.formats.address_lists import read_address_list
from mailward.formats.header import FieldView, split_header
from mailward.formats.searched import folded
from mailward.model.ids import AccountId
from mailward.store.ops import Append
from support.imap import Office

PIECES = [
    "a",
    "Bob",
    "@",
    ".",
    "example",
    " ",
    "  ",
    "(x)",
    "\\",
    '"',
    "<",
    ">",
    ",",
    ":",
    "=?utf-8?q?b=6Fb?=",
    "\r\n ",
    "\r\n\t",
    "\t",
    "\r",
    "\x01",
    "ä",
    "To",
    "Subject",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
NAMES = st.sampled_from(["To", "to", "To ", "Cc", "X-Note"])


def read(headers: bytes, name: str) -> list[str]:
    """The plain definition: the texts of all fields of the name, and the addresses in them."""
    fields = [field for field in map(FieldView.of, split_header(headers)[0]) if field.name.lower() == name.lower()]
    texts = [field.text for field in fields]
    if name.lower() in ("to", "cc"):
        mailboxes = [mailbox for field in fields for mailbox in read_address_list(field.value).mailboxes]
        texts += [(m.local_part_octets + b"@" + m.domain_octets).decode("utf-8", "replace") for m in mailboxes if m.domain_octets]
    return [folded(text) for text in texts]


@given(
    fields=st.lists(st.tuples(NAMES, TEXTS), max_size=4), wanted=TEXTS, name=st.sampled_from(["To", "Cc", "X-Note", "Subject"])
)
@settings(deadline=None)
def test_what_is_found_is_what_a_reading_holds(fields: list[tuple[str, str]], wanted: str, name: str) -> None:
    headers = "".join(f"{name}:{value}\r\n" for name, value in fields).encode() + b"\r\n"
    sought = folded(wanted)
    assert (sought in texts_of(headers, name.lower())) == any(sought in text for text in read(headers, name)) or not sought
    assert bool(texts_of(headers, name.lower())) == bool(read(headers, name))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Ann Example <ann@example.org>", "\nANN EXAMPLE <ANN@EXAMPLE.ORG>"),
        ("Meeting at\r\n noon", "\nMEETING AT NOON"),
        ("Ann (x) <ann (x) @example.org>", "\nANN (X) <ANN (X) @EXAMPLE.ORG>\nANN@EXAMPLE.ORG"),
        ("=?utf-8?q?Ann?=", "\nANN"),
        ("caf\u00e9", "\nCAFE\u0301"),
        ("", "\n"),
    ],
)
def test_texts(value: str, text: str) -> None:
    assert texts_of(f"From: {value}\r\n\r\n".encode(), "from") == text


def test_fields_are_read_from_the_store_whether_they_are_kept_apart_or_not(tmp_path: Path) -> None:
    store = Office(tmp_path).store.open(AccountId("alice"))
    inbox = store.mailbox("INBOX").id
    mail = (
        b"To: a@example.net\r\nX-Note: One\r\nTo: b@example.net\r\n\r\n1\r\n",
        b"Subject: none\r\n\r\n2\r\n",
        b"To: nul\0@example.net\r\nX-note : Two\r\n\r\n3\r\n",
    )
    store.apply([Append(inbox, octets, datetime.now(UTC)) for octets in mail])
    messages = store.view(inbox).messages
    assert list(field_texts(store, "To", messages)) == [
        "\nA@EXAMPLE.NET\nB@EXAMPLE.NET",
        "",
        "\nNUL@EXAMPLE.NET\nNUL\0@EXAMPLE.NET",
    ]
    assert list(field_texts(store, "X-Note", messages)) == ["\nONE", "", "\nTWO"]
    assert list(field_texts(store, "X-N\u00f6te", messages)) == ["", "", ""]


@given(value=TEXTS, wanted=TEXTS, name=st.sampled_from(["Subject", "From", "x-note", "Su bject", "From "]))
@settings(deadline=None)
def test_a_look_at_the_octets_never_misses_what_a_reading_finds(value: str, wanted: str, name: str) -> None:
    headers = f"{name}: {value}\r\nTo: c@example.net\r\n\r\n".encode()
    fields = map(FieldView.of, split_header(headers)[0])
    read = any(folded(wanted) in folded(f"{field.name}: {field.text}") for field in fields)
    assert is_in_header(headers, folded(wanted)) == read
