"""How long a client is waited for, without a clock."""

import pytest

from mailward.net.patience import Patience, PatienceLimits

LIMITS = PatienceLimits(command_s=60, content_s=180, stress_s=10, data_octets_per_s=500, session_s=1800)


def test_each_command_has_its_time() -> None:
    patience = Patience(LIMITS, 0)
    assert patience.deadline == 60
    patience.expect_command(30, has_begun=False, hurried=False)
    assert patience.deadline == 90


def test_t_dos_01_a_command_that_drips_in_earns_nothing() -> None:
    patience = Patience(LIMITS, 0)
    for now in range(0, 59):
        patience.expect_command(now, has_begun=True, hurried=False)
    assert patience.deadline == 60
    patience.expect_command(59, has_begun=False, hurried=False)
    assert patience.deadline == 119


def test_t_dos_01_content_earns_time_by_its_octets_and_not_by_its_pieces() -> None:
    patience = Patience(LIMITS, 0)
    patience.expect_content(100, hurried=False)
    assert patience.deadline == 160
    for now in range(100, 150):
        patience.octets_came(1, now)
        patience.expect_content(now, hurried=False)
    assert patience.deadline == pytest.approx(160 + 50 / 500)
    patience.octets_came(5_000, 150)
    patience.expect_content(150, hurried=False)
    assert patience.deadline == pytest.approx(160 + 5_050 / 500)


def test_t_dos_01_a_burst_buys_no_long_silence() -> None:
    patience = Patience(LIMITS, 0)
    patience.expect_content(0, hurried=False)
    patience.octets_came(50_000_000, 1)
    patience.expect_content(1, hurried=False)
    assert patience.deadline == 1 + 180
    patience.hurry(100)
    assert patience.deadline == 110
    patience.octets_came(50_000_000, 105)
    patience.expect_content(105, hurried=True)
    assert patience.deadline == 115, "what a stranger has sent before counts little while places are few"
    patience.octets_came(1, 114)
    patience.expect_content(114, hurried=True)
    assert patience.deadline == pytest.approx(115 + 1 / 500)


def test_our_own_time_is_not_the_clients() -> None:
    patience = Patience(LIMITS, 0)
    patience.expect_content(0, hurried=False)
    patience.octets_came(0, 10)
    patience.expect_content(500, hurried=False)
    assert patience.deadline == 550


def test_nothing_goes_beyond_the_end_of_the_session() -> None:
    patience = Patience(LIMITS, 0)
    patience.expect_content(1790, hurried=False)
    assert patience.deadline == 1800
    patience.expect_command(1795, has_begun=False, hurried=False)
    assert patience.deadline == 1800


def test_a_stranger_has_less_while_places_are_few() -> None:
    patience = Patience(LIMITS, 0)
    patience.hurry(20)
    assert patience.deadline == 30
    patience.expect_command(25, has_begun=False, hurried=True)
    assert patience.deadline == 35
    patience.expect_command(26, has_begun=False, hurried=False)
    assert patience.deadline == 86
