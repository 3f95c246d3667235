"""Encoded-words and extended values: RFC 2047, RFC 2231."""

import time
from base64 import b64encode

import pytest

from mailward.formats.words import Words, decode_words, encode_words, read_words


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
        # a question mark and blanks in the text: forbidden, and common
        (b"=?utf-8?q?What now??= =?utf-8?b?Pw==?= x?=", "What now?? x?="),
        (b"=?utf-8?q?a =?utf-8?q?b?=", "=?utf-8?q?a b"),
        (b"=?utf-8?q?a=?=", "a="),
    ],
)
def test_encoded_words(value: bytes, text: str) -> None:
    assert decode_words(value) == text


@pytest.mark.parametrize("value", [b"=?utf-8?b?Y2VvQGJhbmsA?=@evil", b"=?utf-8?q?ceo=0a=00=0dbank?=@evil", b"ceo\0bank@evil"])
def test_t_hdr_09_10_decoded_controls_are_gone(value: bytes) -> None:
    assert not set(decode_words(value)) & set("\r\n\0")


def test_t_hdr_17_a_bomb_of_encoded_words_ends_at_the_budget() -> None:
    assert read_words(b" =?utf-8?q?a?=" * 5000) == Words(" " + "a" * 5000)
    assert read_words(b" =?utf-8?q?a?=" * 5001) == Words(" " + "a" * 5000 + " =?utf-8?q?a?=", is_cut=True)


@pytest.mark.parametrize(
    "piece", [b" =?utf-8?q?a?=", b"=?", b"=?utf-8?q?", b"=?utf-8?q??", b"=?utf-8?q?=", b"=?=?q?", b"?=", b"=?a?b?=?"], ids=repr
)
def test_t_hdr_17_a_bomb_of_encoded_words_takes_linear_time(piece: bytes) -> None:
    started = time.process_time()
    decode_words(piece * 100_000)
    assert time.process_time() - started < 4


@pytest.mark.parametrize(
    "charset", [b"x-evil", b"utf-7", b"utf-16", b"UTF-16LE", b"idna", b"hz", b"base64", b"zip", b"unicode_escape"]
)
def test_t_hdr_17_no_codec_of_a_strangers_choice(charset: bytes) -> None:
    word = b"=?" + charset + b"?q?+AGE-?="
    assert decode_words(word) == word.decode()


@pytest.mark.parametrize("end", range(1, 12))
def test_t_hdr_19_a_character_may_be_cut_anywhere(end: int) -> None:
    octets = "aé漢🎉b".encode()[:end]
    read = decode_words(octets)
    assert read.rstrip("\ufffd") == octets.decode("utf-8", "ignore")
    assert decode_words(b"=?utf-8?b?" + b64encode(octets) + b"?=").rstrip("\ufffd") == octets.decode("utf-8", "ignore")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"caf\xc3\xa9", Words("café")),
        (b"caf\xe9 \xc3\x28", Words("caf\ufffd \ufffd(")),
        (b"a\tb", Words("a\tb")),
        ("a\u00a0b\u200db\ue000".encode(), Words("a\u00a0b\u200db\ue000")),
        (b"a\0b", Words("ab", has_controls=True)),
        (b"=?utf-8?q?x=0d=0aBcc:_v@x?=", Words("xBcc: v@x", has_controls=True)),
        ("pay\u200bpal \u202egpj.exe\u202c".encode(), Words("paypal gpj.exe", has_invisible=True)),
        ("\ufeff=?utf-8?q?=E2=81=A6a=C2=85?=".encode(), Words("a", has_controls=True, has_invisible=True)),
    ],
)
def test_t_hdr_09_10_12_15_what_acts_is_left_out_and_told(value: bytes, words: Words) -> None:
    assert read_words(value) == words


@pytest.mark.parametrize("text", ["grün", "漢字" * 50, "a\r\nb", "🎉", ""])
def test_words_written_are_read_back(text: str) -> None:
    words = encode_words(text)
    assert all(len(word) <= 75 for word in words)
    assert decode_words(" ".join(words).encode()) == text.replace("\r\n", "")
