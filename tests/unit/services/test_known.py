"""From where people have logged in, in bounded memory, and of nobody more than a share."""

from mailward.services.known import MOST_NEW, KnownSources


def test_t_dos_16_one_account_with_a_large_network_makes_nobody_forgotten() -> None:
    known = KnownSources(sources=400)
    known.add("192.0.2.1", "alice", 1.0)
    for number in range(5_000):
        known.add(f"2001:db8:{number:x}::1", "stolen", 2.0 + number / 1000)
    assert "192.0.2.1" in known
    assert sum(f"2001:db8:{number:x}::1" in known for number in range(5_000)) == MOST_NEW


def test_where_an_account_comes_from_is_known_again_and_new_places_day_by_day() -> None:
    known = KnownSources()
    for number in range(MOST_NEW + 1):
        known.add(f"198.51.100.{number}", "alice", 1.0)
    assert "198.51.100.0" in known and f"198.51.100.{MOST_NEW}" not in known
    known.add(f"198.51.100.{MOST_NEW}", "bob", 2.0)
    assert f"198.51.100.{MOST_NEW}" in known
    known.add("203.0.113.1", "alice", 86_402.0)
    assert "203.0.113.1" in known
