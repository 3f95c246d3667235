"""What a policy hears of a message: what people would see, however the sender wrote it."""

import pytest

from mailward.formats.message import MessageView
from mailward.pipeline.facts import message_facts


@pytest.mark.parametrize(
    ("from_", "address"),
    [
        ('"x" <a@evil.example.>', "a@evil.example"),
        ("<a@evil.example", "a@evil.example"),
        ("A@Evil.Example.", "a@evil.example"),
        ('"x" <a@evil.example x>', "a@evil.example"),
        ("<a@evil.example>x", "a@evil.example"),
        ('"a b"@evil.example.', '"a b"@evil.example'),
        ("<@station.example:a@evil.example>", "a@evil.example"),
        ("<a@bücher.example.>", "a@xn--bcher-kva.example"),
        ("=?utf-8?q?a=40evil=2Eexample?=", "a@evil.example"),
        ('"x" <A@evil.example>', "A@evil.example"),
    ],
)
def test_t_hdr_07_a_malformed_from_is_not_hidden_from_rules(from_: str, address: str) -> None:
    facts = message_facts(MessageView(f"From: {from_}\r\n\r\n".encode()))
    assert (facts["author.address"], facts["author.domain"]) == (address, address.rpartition("@")[2])


@pytest.mark.parametrize("from_", ["", "Bob", "undisclosed:;", "<>", '"ceo@bank.example" <>'])
def test_an_author_without_an_address_has_none(from_: str) -> None:
    facts = message_facts(MessageView(f"From: {from_}\r\n\r\n".encode()))
    assert (facts["author.address"], facts["author.domain"]) == ("", "")
