"""8-bit content in seven bits: read back by the standard library it is what it was, and what cannot be converted is left alone."""

import email

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.lines import line_facts
from mailward.formats.message import MessageView
from mailward.formats.seven_bit import in_seven_bits

TEXT = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nX-Kept:  as it \r\n\tstands\r\n\r\n"
UMLAUTS = "über alle Gipfel ist Ruh, in allen Wipfeln spürest du kaum einen Hauch\r\n".encode()
LINES = st.lists(
    st.sampled_from(
        [b"plain", b" trailing \t", b".", b"=3D", b"From x", b"", "ü".encode(), b"\xff\xfe", b"x" * 200, b"--", b"\t"]
    ),
    max_size=8,
)
CONTENTS = st.tuples(LINES, st.sampled_from([b"", b"\r\n"])).map(lambda made: b"\r\n".join(made[0]) + made[1])


def leaves(octets: bytes) -> list[bytes]:
    contents = [part.get_payload(decode=True) for part in email.message_from_bytes(octets).walk() if not part.is_multipart()]
    return [content for content in contents if isinstance(content, bytes)]


def multipart(*parts: bytes, kind: str = "mixed", boundary: str = "=_1", between: bytes = b"") -> bytes:
    """parts: with their headers."""
    body = b"".join(f"--{boundary}\r\n".encode() + part + b"\r\n" for part in parts)
    top = f'MIME-Version: 1.0\r\nContent-Type: multipart/{kind}; boundary="{boundary}"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n'
    return top.encode() + between + body + f"--{boundary}--\r\n".encode()


@given(st.lists(CONTENTS, min_size=1, max_size=4), st.booleans())
def test_each_part_stands_for_the_same_octets(contents: list[bytes], is_nested: bool) -> None:
    octets = multipart(*(TEXT + content for content in contents))
    if is_nested:
        octets = multipart(b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + octets, boundary="=_2")
    made = in_seven_bits(octets)
    facts = line_facts(made)
    assert made.isascii() and not (facts.bare_cr or facts.bare_lf or facts.nul) and facts.longest_octets <= 998
    # The standard library reads line ends of parts that are not encoded as they are.
    assert leaves(made) == contents
    assert [part.octets for part in MessageView(made).root.walk()] and made.count(b"X-Kept:  as it \r\n\tstands\r\n") == len(
        contents
    )


@given(CONTENTS)
def test_a_message_of_one_part_stands_for_the_same_octets(content: bytes) -> None:
    made = in_seven_bits(TEXT + content)
    assert made.isascii() and leaves(made) == [content]
    assert content.isascii() or (b"MIME-Version: 1.0\r\n" in made and b"X-Kept:  as it \r\n\tstands\r\n" in made)


def test_no_part_is_called_8bit_within_one_that_is_not() -> None:
    signed = multipart(TEXT + b"as it was signed\r\n", kind="signed", boundary="=_3")
    made = in_seven_bits(multipart(TEXT + UMLAUTS, TEXT + b"plain\r\n", signed))
    said = [part.encoding for part in MessageView(made).root.walk()]
    assert said == ["7bit", "quoted-printable", "7bit", "8bit", "8bit"]  # (RFC 2045 section 6.4); what is signed stays
    assert made.endswith(signed + b"\r\n--=_1--\r\n")


def test_a_message_in_seven_bits_stays_octet_by_octet() -> None:
    for octets in (b"A: b\r\n\r\ntext\r\n", multipart(TEXT + b"x", kind="signed"), b"", b"no header\r\n"):
        assert in_seven_bits(octets) == octets


def test_nothing_is_called_8bit_any_more_and_the_shorter_encoding_is_taken() -> None:
    dense = "Всё смешалось в доме Облонских.\r\n".encode() * 3
    made = in_seven_bits(multipart(TEXT + UMLAUTS, TEXT + dense, b"Content-Type: image/x\r\n\r\n" + b"\xff\xd8 \x80\r\n" * 9))
    assert b"8bit" not in made and made.count(b"Content-Transfer-Encoding: 7bit\r\n") == 1
    assert made.count(b"Content-Transfer-Encoding: quoted-printable\r\n") == 1
    assert made.count(b"Content-Transfer-Encoding: base64\r\n") == 2
    assert leaves(made) == [UMLAUTS, dense, b"\xff\xd8 \x80\r\n" * 9]


def test_content_of_a_message_without_mime_gets_the_fields_that_its_encoding_needs() -> None:
    made = in_seven_bits(b"Subject: x\r\n\r\n" + UMLAUTS)
    assert made.startswith(b"Subject: x\r\nContent-Transfer-Encoding: quoted-printable\r\nMIME-Version: 1.0\r\n\r\n=C3=BCber")
    assert leaves(made) == [UMLAUTS]


ENCODED = b"Content-Transfer-Encoding: base64\r\n\r\n"


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (multipart(TEXT + UMLAUTS, TEXT + b"x", kind="signed"), "signature"),
        (multipart(multipart(TEXT + UMLAUTS, kind="signed", boundary="=_2")), "signature"),
        (b"Content-Type: message/partial; id=x; number=1\r\n\r\n" + UMLAUTS, "type message/partial, which may not be encoded"),
        (b"Content-Type: message/delivery-status\r\n\r\n" + UMLAUTS, "may not be encoded"),
        (b"Content-Type: multipart/mixed\r\n\r\n" + UMLAUTS, "may not be encoded"),
        (ENCODED + UMLAUTS, "called base64"),
        (b"Content-Transfer-Encoding: x-own\r\n\r\n" + UMLAUTS, "called x-own"),
        ("Subject: ü\r\n\r\nx\r\n".encode(), "in a header, or outside its parts"),
        (multipart(TEXT + b"x", between="für alte Leser\r\n".encode()), "in a header, or outside its parts"),
        (multipart("X: ü\r\n\r\nx".encode()), "in a header, or outside its parts"),
    ],
)
def test_what_has_no_such_form(octets: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        in_seven_bits(octets)


BLOCKS = st.sampled_from(
    [
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"Content-Type: message/rfc822\r\n",
        b"Content-Type: text/plain\r\n",
        b"Content-Transfer-Encoding: 8bit\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n",
        b"\r\n",
        b"--b\r\n",
        b"--b--\r\n",
        b"x\xfcx\r\n",
        b"x=C3 \r\n",
        b"x" * 100 + b"\xfc\r\n",
        b"\xfc",
    ]
)


@given(st.lists(BLOCKS, max_size=14).map(b"".join))
def test_whatever_the_message_is_our_own_reading_of_its_parts_stays_the_same(octets: bytes) -> None:
    try:
        made = in_seven_bits(octets)
    except ValueError:
        return
    before, after = (
        [(part.content_type, part.decode()) for part in MessageView(one).root.walk() if not part.children]
        for one in (octets, made)
    )
    assert made.isascii() and after == before
