"""i;unicode-casemap (RFC 5051)."""

import pytest

from mailward.formats.collation import casemap


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("budget", "BUDGET"),
        ("grüße", "GRÜßE"),
        ("caf\u00e9", "cafe\u0301"),  # composed and taken apart
        ("\uff21\u00a0b", "a b"),  # full width, a blank that does not break
        ("ǆ", "ǅ"),  # title case, not upper case
        ("привет", "ПРИВЕТ"),
    ],
)
def test_equal(one: str, other: str) -> None:
    assert casemap(one) == casemap(other)


@pytest.mark.parametrize(("one", "other"), [("strasse", "straße"), ("a", "ä"), ("o", "ø")])
def test_different(one: str, other: str) -> None:
    assert casemap(one) != casemap(other)


def test_letters_are_before_the_underscore() -> None:
    assert casemap("b") < casemap("_")
