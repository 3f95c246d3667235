"""What SORT compares of a message (RFC 5256 section 3, RFC 5957 section 3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.collation import casemap
from mailward.formats.message import MessageView
from mailward.store.sortkeys import display_key, first_address, mailbox_key

NAMES = st.text(st.characters(categories=("L", "N"), max_codepoint=0x2FF), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("fields", "mailbox", "display"),
    [
        ("To: Ann <a@example.net>, b@example.net", "A", "ANN"),
        ("To: a@example.net", "A", "A@EXAMPLE.NET"),
        ("To: =?utf-8?q?=C3=84nne?= <z@example.net>", "Z", "A\u0308NNE"),
        ("To: team: x@example.net;", "TEAM", "TEAM"),
        ("To: a@example.net (Ann)", "A", "ANN"),
        ('To: "a \\"b\\"" <c@example.net>', "C", 'A "B"'),
        ("To:\r\nTo: b@example.net", "B", "B@EXAMPLE.NET"),
        ("To: ", "", ""),
        ("Cc: a@example.net", "", ""),
    ],
)
def test_keys_of_the_first_address(fields: str, mailbox: str, display: str) -> None:
    first = first_address(MessageView(f"{fields}\r\n\r\n".encode()), "To")
    assert (mailbox_key(first), display_key(first)) == (mailbox, display)


@given(NAMES.filter(lambda name: name.isascii() and name.isalnum()), NAMES)
def test_names_of_any_script(local_part: str, name: str) -> None:
    first = first_address(MessageView(f'From: "{name}" <{local_part}@example.net>\r\n\r\n'.encode()), "From")
    assert (mailbox_key(first), display_key(first)) == (casemap(local_part), casemap(name))
