"""How long a client is waited for, without a clock."""

from mailward.net.patience import Patience, PatienceLimits

LIMITS = PatienceLimits(command_s=60, stress_command_s=10, data_octets_per_s=500, session_s=1800)


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
        patience.octets_came(1)
        patience.expect_content(now, hurried=False)
    assert patience.deadline == 160 + 50 / 500
    patience.octets_came(500_000)
    patience.expect_content(150, hurried=False)
    assert patience.deadline == 160 + 500_050 / 500
    patience.expect_command(2000, has_begun=False, hurried=False)
    assert patience.deadline == 1800, "no further than the session"


def test_a_stranger_has_less_while_places_are_few() -> None:
    patience = Patience(LIMITS, 0)
    patience.hurry(20)
    assert patience.deadline == 30
    patience.expect_command(25, has_begun=False, hurried=True)
    assert patience.deadline == 35
    patience.expect_command(26, has_begun=False, hurried=False)
    assert patience.deadline == 86
