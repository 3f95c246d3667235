"""Tokens and the classifier, without a server; the odd signs of a message's shape."""

import pytest

from mailward.api import MessageView
from mailward_plugins.spam.bayes import counts, probability
from mailward_plugins.spam.rules import GTUBE, signs
from mailward_plugins.spam.tokens import MAX_TOKENS, tokens_of

GOOD = (
    b"From: Ann <ann@example.net>\r\nTo: bob@example.org\r\nSubject: minutes of the meeting\r\n"
    b"Date: Mon, 2 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.net>\r\n\r\n"
)


def _symbols(octets: bytes) -> set[str]:
    return {symbol for symbol, _ in signs(MessageView(octets))}


def test_an_ordinary_message_shows_no_sign() -> None:
    assert _symbols(GOOD + b"text\r\n") == set()


@pytest.mark.parametrize(
    ("symbol", "octets"),
    [
        ("MISSING_FROM", GOOD.replace(b"From: Ann <ann@example.net>\r\n", b"")),
        ("MISSING_DATE", GOOD.replace(b"Date:", b"X-Date:")),
        ("MISSING_MESSAGE_ID", GOOD.replace(b"Message-ID:", b"X-Id:")),
        ("ODD_MESSAGE_ID", GOOD.replace(b"<1@example.net>", b"not an id")),
        ("MISSING_TO", GOOD.replace(b"To:", b"X-To:")),
        ("MANY_RECIPIENTS", GOOD.replace(b"To: bob@example.org", b"To: " + b",".join(b"b%d@example.org" % n for n in range(20)))),
        ("SUBJECT_SHOUTS", GOOD.replace(b"minutes of the meeting", b"YOU HAVE WON A PRIZE")),
        ("FROM_NAME_IS_ADDRESS", GOOD.replace(b"Ann <", b'"ceo@bank.example" <')),
        ("HTML_ONLY", GOOD.replace(b"\r\n\r\n", b"\r\nContent-Type: text/html\r\n\r\n<p>x</p>")),
        ("GTUBE", GOOD + GTUBE.encode() + b"\r\n"),
    ],
)
def test_each_sign_is_seen(symbol: str, octets: bytes) -> None:
    assert symbol in _symbols(octets)


def test_a_name_that_repeats_the_own_address_is_no_sign() -> None:
    assert "FROM_NAME_IS_ADDRESS" not in _symbols(GOOD.replace(b"Ann <", b'"ann@example.net" <'))


def test_nothing_that_a_receiver_adds_is_a_token() -> None:
    received = (
        b"Received: from x by mx.example.org; Mon, 2 Nov 2026 10:00:00 +0000\r\nX-Spam-Status: yes\r\nDelivered-To: bob\r\n"
    )
    assert tokens_of(MessageView(received + GOOD + b"text\r\n")) == tokens_of(MessageView(GOOD + b"text\r\n"))


def test_word_order_counts() -> None:
    assert tokens_of(MessageView(GOOD + b"closed account\r\n")) != tokens_of(MessageView(GOOD + b"account closed\r\n"))


def test_t_dos_07_a_huge_text_gives_a_bounded_number_of_tokens() -> None:
    text = b" ".join(b"w%x" % n for n in range(200_000))
    assert len(tokens_of(MessageView(GOOD + text))) <= MAX_TOKENS


def test_without_evidence_the_probability_is_a_half() -> None:
    assert probability({}, 100, 100) == 0.5
    assert probability({b"a": (5, 5)}, 100, 100) == 0.5


def test_evidence_moves_it_and_contradiction_brings_it_back() -> None:
    spam = {bytes([n]): (20, 0) for n in range(20)}
    ham = {bytes([n + 100]): (0, 20) for n in range(20)}
    assert probability(spam, 100, 100) > 0.99
    assert probability(ham, 100, 100) < 0.01
    assert abs(probability(spam | ham, 100, 100) - 0.5) < 0.05


def test_t_plug_13_many_lessons_of_one_kind_do_not_drown_few_of_the_other() -> None:
    word = {bytes([n]): (1000, 10) for n in range(20)}  # in each of ten hams, in one of ten spams
    assert probability(word, 10_000, 10) < 0.1


def test_a_lesson_can_be_taken_back() -> None:
    assert counts([b"a"], spam=1, ham=-1) == {b"a": (1, -1)}
