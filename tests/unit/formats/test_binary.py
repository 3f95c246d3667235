"""Binary content in lines: read back by the standard library it is what it was, and all else stays."""

import email
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.binary import in_lines
from mailward.formats.lines import line_facts
from mailward.formats.message import MessageView

BINARY = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\nX-Kept:  as it \r\n\tstands\r\n\r\n"
CONTENTS = st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"\0", b"--", b".", b"a\xff" * 40, b"x" * 1200]), max_size=12)


def written(octets: bytes) -> bytes:
    pieces = list(in_lines(MessageView(octets)))
    assert all(pieces)
    return b"".join(pieces)


def leaves(octets: bytes) -> list[bytes]:
    contents = [part.get_payload(decode=True) for part in email.message_from_bytes(octets).walk() if not part.is_multipart()]
    return [content for content in contents if isinstance(content, bytes)]


def multipart(*contents: bytes, kind: str = "mixed", head: bytes = BINARY) -> bytes:
    parts = b"".join(b"--=_1\r\n" + head + content + b"\r\n" for content in contents)
    top = f'MIME-Version: 1.0\r\nContent-Type: multipart/{kind}; boundary="=_1"\r\nContent-Transfer-Encoding: binary\r\n\r\n'
    return top.encode() + b"before\r\n" + parts + b"--=_1--\r\nbehind\r\n"


@given(st.lists(CONTENTS.map(b"".join), min_size=1, max_size=4))
def test_t_smtp_19_each_part_stands_for_the_same_octets_in_lines(contents: list[bytes]) -> None:
    made = written(multipart(*contents))
    facts = line_facts(made)
    assert not (facts.bare_cr or facts.bare_lf or facts.nul) and facts.longest_octets <= 998
    # What was in lines already is not touched, and the standard library reads lines of other ends alike.
    assert [leaf.replace(b"\r\n", b"\n") for leaf in leaves(made)] == [content.replace(b"\r\n", b"\n") for content in contents]
    assert made.count(b"X-Kept:  as it \r\n\tstands\r\n") == len(contents)


def test_every_octet_of_a_large_body_comes_back_however_it_is_cut() -> None:
    content = bytes(range(256)) * 5000
    made = written(BINARY + content)
    assert leaves(made) == [content] and made.endswith(b"\r\n") and b"MIME-Version: 1.0\r\n" in made
    assert line_facts(made).longest_octets == 76


def test_no_part_is_called_binary_that_holds_nothing_binary_any_more() -> None:
    inner = multipart(b"\0\n", kind="alternative").replace(b"=_1", b"=_2")
    head = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    made = written(multipart(inner, head=head))
    assert made.count(b"Content-Transfer-Encoding: 8bit\r\n") == 3
    assert made.count(b"Content-Transfer-Encoding: base64\r\n") == 1 and b": binary" not in made
    assert leaves(made) == [b"\0\n"]


@pytest.mark.parametrize(
    "octets", [BINARY + b"in lines\r\n", b"A: b\r\n\r\nno part\0of its own\n", multipart(b"text", b"more text")]
)
def test_what_is_in_lines_or_says_nothing_of_binary_stays_octet_by_octet(octets: bytes) -> None:
    assert written(octets) == octets


def test_the_other_octets_are_those_that_came() -> None:
    octets = multipart(b"one", b"\0", b"three")
    made = written(octets)
    cuts = [octets.index(b"--=_1", octets.index(b"one")), octets.index(b"--=_1", octets.index(b"\0")) - 2]
    behind = octets[cuts[1] :].replace(b": binary", b": 8bit")  # as is what holds it (RFC 2045 section 6.4)
    assert made.endswith(behind) and made.startswith(octets[: octets.index(b"Content-Transfer")])
    assert all(first < second for first, second in pairwise(cuts))


@pytest.mark.parametrize("level", [1, 2])
def test_t_smtp_19_what_a_signature_covers_is_not_converted(level: int) -> None:
    octets = multipart(b"\0", b"in lines", kind="signed")
    if level == 2:
        octets = multipart(octets.replace(b"=_1", b"=_2"), head=b"Content-Type: message/rfc822\r\n\r\n")
    with pytest.raises(ValueError, match="signature"):
        written(octets)
    assert written(multipart(b"in lines", kind="signed")) == multipart(b"in lines", kind="signed")


def test_a_signed_part_beside_binary_content_stays_as_it_was_signed() -> None:
    signed = multipart(b"in lines", kind="signed").replace(b"=_1", b"=_2")
    octets = multipart(b"\0", signed, head=b"Content-Type: message/rfc822\r\n\r\n").replace(
        b"Content-Type: message/rfc822\r\n\r\n\0", BINARY + b"\0"
    )
    made = written(octets)
    assert signed in made and leaves(made)[0] == b"\0"
