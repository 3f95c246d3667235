"""Which addresses are this server's own (T-RELAY-17)."""

import pytest

from mailward.net.own_addresses import OwnAddresses


@pytest.mark.parametrize(
    ("listening", "address", "ours"),
    [
        ("127.0.0.2", "127.0.0.2", True),
        ("127.0.0.2", "127.0.0.3", False),
        ("0.0.0.0", "127.0.0.3", True),
        ("0.0.0.0", "9.9.9.9", False),
        ("0.0.0.0", "2a00::1", False),
    ],
)
def test_t_relay_17_an_address_is_ours_when_a_listener_has_it(listening: str, address: str, ours: bool) -> None:
    assert OwnAddresses([listening])(address) is ours
