"""Who may connect: counts per address and network, new connections a minute, and what happens when places get few."""

import ipaddress
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from mailward.net.admission import Admission, AdmissionLimits, Excess
from mailward.services.known import KnownSources
from mailward.services.shared import OpenCounts, Seats


def limits_of(excess: list[Excess | None]) -> list[str]:
    return ["" if one is None else one.limit for one in excess]


def test_t_dos_02_places_per_address_and_per_network() -> None:
    admission = Admission(AdmissionLimits(total=100, per_address=2, per_network=3, per_minute=0))
    addresses = ["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.1"]
    assert limits_of([admission.enter(ip) for ip in addresses]) == [
        *("", "", "connections_per_address", "", "connections_per_network", "")
    ]
    admission.leave("192.0.2.1")
    assert admission.enter("192.0.2.3") is None


@pytest.mark.parametrize(
    ("first", "second", "limit"),
    [
        ("2001:db8::1", "2001:db8::2", "connections_per_address"),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", "connections_per_network"),
        ("2001:db8:1::1", "2001:db8:2::1", ""),
    ],
)
def test_an_ipv6_64_is_one_address_and_a_48_one_network(first: str, second: str, limit: str) -> None:
    admission = Admission(
        AdmissionLimits(per_address=1, per_network=1 if limit != "connections_per_address" else 9, per_minute=0)
    )
    assert admission.enter(first) is None
    assert limits_of([admission.enter(second)]) == [limit]


def test_t_dos_02_new_connections_a_minute_count_though_they_are_closed_at_once() -> None:
    admission = Admission(AdmissionLimits(per_minute=5))
    for _ in range(5):
        assert admission.enter("192.0.2.1") is None
        admission.leave("192.0.2.1")
    assert admission.enter("192.0.2.1") == Excess("connections_per_minute", 5, "192.0.2.1")
    assert admission.enter("192.0.2.2") is None
    for _ in range(50):
        assert admission.enter("127.0.0.1") is None
        admission.leave("127.0.0.1")


def test_t_dos_02_two_processes_at_the_same_instant_do_not_both_get_the_last_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one comes whenever this one has counted, and before it acts on that."""
    seats = Seats(2)
    admission = Admission(AdmissionLimits(total=9, per_address=1, per_network=9), seats)
    counted = OpenCounts.of
    entered: list[Excess | None] = []

    def of(self: OpenCounts, name: str) -> int:
        number = counted(self, name)
        if seats.own == 0:
            seats.own = 1
            entered.append(admission.enter("192.0.2.1"))
            if entered[-1] is None:
                admission.leave("192.0.2.1")
            seats.own = 0
        return number

    monkeypatch.setattr(OpenCounts, "of", of)
    assert admission.enter("192.0.2.1") is None
    assert entered and None not in entered


def test_exempt_networks_are_counted_in_the_total_alone() -> None:
    exempt = (ipaddress.ip_network("192.0.2.0/24"),)
    admission = Admission(AdmissionLimits(total=10, per_address=1, per_network=1, per_minute=1, exempt=exempt))
    assert limits_of([admission.enter("192.0.2.1") for _ in range(11)]) == [*[""] * 10, "connections"]


def test_t_dos_15_a_source_is_worth_one_line_a_minute() -> None:
    admission = Admission(AdmissionLimits(per_address=1, per_minute=0))
    admission.enter("192.0.2.1")
    with capture_logs() as lines:
        assert all(admission.enter("192.0.2.1") for _ in range(1000))
    line = {"event": "connection refused", "log_level": "info", "peer": "192.0.2.1"}
    assert lines == [line | {"limit": "connections_per_address", "value": 1, "source": "192.0.2.1"}]


def test_t_tls_13_clients_in_a_handshake_have_places_of_their_own_and_are_told_of_in_the_log() -> None:
    admission = Admission(AdmissionLimits(per_address=2, per_minute=0))
    assert admission.enter("192.0.2.1") is None
    assert [admission.enter_handshake("192.0.2.1") for _ in range(2)] == [None, None]
    with capture_logs() as lines:
        assert admission.enter_handshake("192.0.2.1") == Excess("connections_per_address", 2, "192.0.2.1")
    assert [line["event"] for line in lines] == ["connection refused"]
    admission.leave_handshake("192.0.2.1")
    assert admission.enter_handshake("192.0.2.1") is None and admission.count == 1


def test_stress_begins_when_most_places_are_taken_and_ends_well_below() -> None:
    told: list[bool] = []
    admission = Admission(AdmissionLimits(total=10, per_address=100, per_network=100))
    admission.on_stress.append(lambda: told.append(admission.is_stressed))
    for _ in range(8):
        admission.enter("192.0.2.1")
    assert admission.is_stressed and told == [True]
    for _ in range(2):
        admission.leave("192.0.2.1")
        admission.enter("192.0.2.1")
    assert told == [True]
    for _ in range(3):
        admission.leave("192.0.2.1")
    assert not admission.is_stressed


@pytest.mark.parametrize("enter", [Admission.enter, Admission.enter_handshake])
def test_t_dos_02_the_last_places_are_for_those_who_have_logged_in_before(
    enter: Callable[[Admission, str], Excess | None],
) -> None:
    known = KnownSources()
    known.add("2001:db8::1", "alice", 1.0)
    admission = Admission(AdmissionLimits(total=10, per_minute=0), known=known)
    strangers = [enter(admission, f"198.51.{n}.1") for n in range(12)]
    assert limits_of(strangers) == [""] * 9 + ["connections"] * 3
    assert limits_of([enter(admission, "2001:db8::2") for _ in range(2)]) == ["", "connections"]
