"""Encoded-words and extended values: RFC 2047, RFC 2231."""

import time

import pytest

from mailward.formats.words import decode_extended, decode_words, encode_words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # RFC 2047 section 8
        (b"=?ISO-8859-1?Q?a?=", "a"),
        (b"=?ISO-8859-1?Q?a?= b", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a_b?=", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        (b"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
        (b"=?ISO-8859-1?Q?Andr=E9?= Pirard", "André Pirard"),
        (b"=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=", "םולש ןב ילטפנ"),
        # RFC 2231 section 5: a language
        (b"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
        # a character split between two words: forbidden, and common
        (b"=?utf-8?b?w6TD?= =?utf-8?b?pMOk?=", "äää"),
        (b"=?x-evil?q?a?= =?utf-7?q?+AGE-?= =?zip?b?UEs=?=", "=?x-evil?q?a?= =?utf-7?q?+AGE-?= =?zip?b?UEs=?="),
        (b"=?utf-16?b?AGEAYg==?=", "=?utf-16?b?AGEAYg==?="),
        (b"gr\xc3\xbcn \xc3\x28", "grün \ufffd("),
        (b"=?utf-8?b?!!!?= =?utf-8?q?=zz?=", "=zz"),
    ],
)
def test_encoded_words(value: bytes, text: str) -> None:
    assert decode_words(value) == text


@pytest.mark.parametrize("value", [b"=?utf-8?b?Y2VvQGJhbmsA?=@evil", b"=?utf-8?q?ceo=0a=00=0dbank?=@evil", b"ceo\0bank@evil"])
def test_t_hdr_09_10_decoded_controls_are_gone(value: bytes) -> None:
    assert not set(decode_words(value)) & set("\r\n\0")


def test_t_hdr_17_a_bomb_of_encoded_words_takes_linear_time() -> None:
    started = time.perf_counter()
    assert decode_words(b" =?utf-8?q?a?=" * 32_000).endswith("a" * 1000)
    decode_words(b"=?" * 100_000)
    decode_words(b"=?utf-8?q?" * 20_000)
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("text", ["grün", "漢字" * 50, "a\r\nb", "🎉", ""])
def test_words_written_are_read_back(text: str) -> None:
    words = encode_words(text)
    assert all(len(word) <= 75 for word in words)
    assert decode_words(" ".join(words).encode()) == text.replace("\r\n", "")


def test_an_extended_value() -> None:
    # RFC 2231 section 4
    assert decode_extended(b"us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A") == "This is ***fun***"
    assert decode_extended(b"''b%00ad") == "bad"
    assert decode_extended(b"no quotes %41") == "no quotes A"
