"""How an admin writes a next hop."""

import pytest

from mailward.delivery.static_hop import StaticHop, parse_hop


@pytest.mark.parametrize(
    ("text", "hop", "written"),
    [
        ("smtp:Mx.example.net", StaticHop("mx.example.net", 25), "smtp:mx.example.net:25"),
        ("smtp:192.0.2.7:2525", StaticHop("192.0.2.7", 2525), "smtp:[192.0.2.7]:2525"),
        ("smtp:[2001:db8::7]", StaticHop("2001:db8::7", 25), "smtp:[2001:db8::7]:25"),
        ("lmtp:[127.0.0.1]", StaticHop("127.0.0.1", 24, is_lmtp=True), "lmtp:[127.0.0.1]:24"),
        ("lmtp:store.example:2424", StaticHop("store.example", 2424, is_lmtp=True), "lmtp:store.example:2424"),
        ("lmtp:unix", StaticHop("unix", 24, is_lmtp=True), "lmtp:unix:24"),
        ("lmtp:unix:/run/dovecot/lmtp", StaticHop("/run/dovecot/lmtp", 0, is_lmtp=True), "lmtp:unix:/run/dovecot/lmtp"),
    ],
)
def test_next_hops_are_read_and_written(text: str, hop: StaticHop, written: str) -> None:
    assert parse_hop(text) == hop
    assert str(hop) == written and parse_hop(written) == hop


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mx.example.net", "'mx.example.net' is no next hop: smtp:HOST:PORT, lmtp:HOST:PORT or lmtp:unix:/PATH was expected"),
        ("smtp:unix:/run/x", "is no next hop"),
        ("lmtp:unix:run/x", "is no next hop"),
        ("lmtp:unix:/run/a b", "is no next hop"),
        ("smtp:a\n", "is no next hop"),
        ("lmtp:unix:/" + "x" * 107, "the path is longer than 107 octets"),
        ("smtp:[1:2]", "[1:2] is no address"),
        ("smtp:a:0", "0 is no port"),
        ("smtp:a:65536", "65536 is no port"),
        ("lmtp:a:25", "LMTP must not be on port 25 (RFC 2033 section 5)"),
    ],
)
def test_what_is_no_next_hop(text: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_hop(text)
    assert said in str(caught.value)
