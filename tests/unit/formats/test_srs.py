"""Rewritten reverse-paths; tests/integration/test_srs.py holds them against postsrsd."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.address import parse_mailbox
from mailward.formats.srs import VALID_DAYS, Srs, is_rewritten
from mailward.model.address import Address

ANN = parse_mailbox("ann@example.net")
DAY = 20_000


def srs(*keys: str, day: int = DAY) -> Srs:
    return Srs([key.encode() for key in keys or ("a key",)], lambda: day)


def made(sender: Address = ANN, domain: str = "example.org", *keys: str, day: int = DAY) -> Address:
    address = srs(*keys, day=day).forwarded(sender, domain)
    assert address is not None
    return address


def test_a_report_finds_back_to_the_sender() -> None:
    address = made()
    assert address.domain == "example.org" and is_rewritten(address)
    assert srs().original(address) == ANN


def test_case_may_change_on_the_way() -> None:
    for changed in (made().local_part.lower(), made().local_part.upper()):
        found = srs().original(Address(changed, "example.org"))
        assert found is not None and str(found).lower() == str(ANN)


def test_an_address_is_good_for_three_weeks_over_the_turn_of_the_days_too() -> None:
    for first in (DAY, 1023 + 1024 * 19):
        address = made(day=first)
        assert srs(day=first + VALID_DAYS).original(address) == ANN
        assert srs(day=first + VALID_DAYS + 1).original(address) is None
        assert srs(day=first - 1).original(address) is None


def test_an_older_key_still_reads_and_a_wrong_one_does_not() -> None:
    assert srs("new", "a key").original(made()) == ANN
    assert srs("new").original(made()) is None


@pytest.mark.parametrize("place", range(5, 28))
def test_t_relay_01_whoever_changes_an_address_gets_nothing(place: int) -> None:
    """Each character of hash, day, domain and local-part."""
    text = made().local_part
    other = "A" if text[place].upper() != "A" else "B"
    found = srs().original(Address(text[:place] + other + text[place + 1 :], "example.org"))
    assert found is None


@pytest.mark.parametrize(
    "local_part",
    ["SRS0=a=XX=example.net=ann", "SRS0==XX=example.net=ann", "SRS0=aaaa=example.net=ann", "SRS0=", "SRS1=aaaa=example.net=ann",
     "SRS1=a=example.net==x", "SRS2=aaaa=XX=example.net=ann", "ann", "SRS0=aaaaaaaa=XX=example.net=ann"],
)  # fmt: skip
def test_t_relay_01_a_short_or_missing_hash_is_none(local_part: str) -> None:
    assert srs().original(Address(local_part, "example.org")) is None


def test_what_was_rewritten_before_leads_straight_to_the_first_that_did() -> None:
    first = made(ANN, "first.example", "first")
    second = made(first, "second.example", "second")
    third = made(second, "third.example", "third")
    assert second.local_part.startswith("SRS1=") and third.local_part.startswith("SRS1=")
    assert srs("third").original(third) == srs("second").original(second) == first
    assert srs("first").original(first) == ANN


def test_t_relay_01_what_was_rewritten_twice_is_good_no_longer_than_what_was_rewritten_once() -> None:
    """SRS1 has no day of its own; the one in it is of another server, whose clock may be ahead."""
    second = made(made(ANN, "first.example", "first"), "second.example", "second")
    third = made(second, "third.example", "third")
    for address, key in ((second, "second"), (third, "third")):
        assert all(srs(key, day=DAY + days).original(address) for days in (-1, 0, VALID_DAYS))
        assert not any(srs(key, day=DAY + days).original(address) for days in (-2, VALID_DAYS + 1, 500))


def test_what_would_be_no_address_is_not_made() -> None:
    assert srs().forwarded(Address("a" * 230, "example.net"), "example.org") is None


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40))
def test_any_sender_is_found_again(local_part: str) -> None:
    sender = Address(local_part, "example.net")
    assert local_part.upper().startswith("SRS") or srs().original(made(sender)) == sender
