"""App passwords: enough bits, easy to copy (T-2FA-06)."""

import re

import pytest

from mailward.auth.app_passwords import digest, make_app_password, normalised


def test_t_2fa_06_128_random_bits_in_groups() -> None:
    made = {make_app_password() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(r"([a-z2-7]{5}-){5}[a-z2-7]", one) for one in made)
    first_26 = zip(*(one.replace("-", "")[:25] for one in made), strict=True)
    assert all(len(set(column)) == 32 for column in first_26), "five free bits in each place"


def test_case_spaces_and_hyphens_do_not_matter() -> None:
    made = make_app_password()
    normal = normalised(made)
    assert normal is not None
    for typed in (made.upper(), made.replace("-", " "), made.replace("-", ""), f" {made} "):
        assert normalised(typed) == normal
    assert digest(normal) != digest(normal[:-1] + ("a" if normal[-1] != "a" else "b"))


@pytest.mark.parametrize("typed", ["", "-" * 26, "secret", "a" * 25, "a" * 27, "0" * 26, "a" * 25 + "\u017f"])
def test_what_can_be_none(typed: str) -> None:
    assert normalised(typed) is None
