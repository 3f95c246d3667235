"""Tokens of structured fields: RFC 5322 section 3.2."""

import pytest

from mailward.formats.lexical import tokens, without_comments


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        (b"a b", "atom blank atom"),
        (b'"a \\" b"@[1.2]', "quoted special literal"),
        (b"(a (b) \\) c)d", "comment atom"),
        (b"gr\xc3\xbcn", "atom"),
    ],
)
def test_kinds(value: bytes, kinds: str) -> None:
    assert [token.kind for token in tokens(value)] == kinds.split()
    assert all(token.is_sound for token in tokens(value))


def test_marks_and_quoted_pairs_are_no_text() -> None:
    assert [token.octets for token in tokens(b'"a\\"b\\\\"( c \\) (d) )')] == [b'a"b\\', b"c ) (d)"]


@pytest.mark.parametrize(
    "value",
    [b'"a', b'"a\\"', b"[a", b"[a\\]", b"(a", b"(a\\)", b")", b"]", b"\\", b"\0", b"\r", b'"\0"', b"(\r)", b"(" * 9 + b")" * 9],
)
def test_t_hdr_16_what_is_not_closed_or_holds_nul_is_unsound(value: bytes) -> None:
    assert [token.is_sound for token in tokens(value)] == [False]


def test_eight_levels_of_comments_are_sound() -> None:
    assert [token.is_sound for token in tokens(b"(" * 8 + b")" * 8)] == [True]


@pytest.mark.parametrize("value", [b"", b"a(b)c", b"\\\\(\"'", b'"\\', b"[\\", b"(\\"])
def test_no_octet_is_lost(value: bytes) -> None:
    assert b"".join(value[token.start : token.end] for token in tokens(value)) == value


def test_comments_leave_a_blank() -> None:
    assert without_comments(b'a(b(c))d "(e)" [(f)]') == b'a d "(e)" [(f)]'
