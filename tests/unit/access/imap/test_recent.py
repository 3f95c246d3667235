"""\\Recent where two sessions are told in turn."""

import pytest

from mailward.access.imap.recent import Recent


@pytest.mark.parametrize("ranges", [((1, 4), (6, 7), (9, 20)), ((1, 4), (2, 8)), ((5, 5),)])
def test_recent_is_what_was_added(ranges: tuple[tuple[int, int], ...]) -> None:
    recent = Recent()
    for low, high in ranges:
        recent.add(low, high)
    told = {uid for low, high in ranges for uid in range(low, high)}
    assert {uid for uid in range(30) if uid in recent} == told
    assert recent.count(range(30)) == len(told)
    pairs = [(first, last) for first in range(25) for last in range(first, 25)]
    assert [pair for pair in pairs if recent.holds_all(*pair)] == [
        pair for pair in pairs if told.issuperset(range(pair[0], pair[1] + 1))
    ]


def test_two_sessions_in_turn_leave_few_ranges_to_look_through_t_dos_08() -> None:
    """The newest are told apart; of the oldest a session may call recent what another has been told, too."""
    recent = Recent()
    for uid in range(1, 20_001, 2):
        recent.add(uid, uid + 1)
    assert all((uid in recent) == (uid % 2 == 1) for uid in range(18_003, 20_001))
    assert all(uid in recent for uid in range(1, 20_001, 2))
    looks = Looks(range(1, 20_001))
    assert recent.count(looks) == 18_001 + 999
    assert looks.n < 100_000


class Looks(list[int]):
    """UIDs that count how often they are looked at."""

    n = 0

    def __getitem__(self, place: int) -> int:  # type: ignore[override]
        self.n += 1
        return super().__getitem__(place)
