"""Which addresses are one peer, and which peers are one source (RFC 4291)."""

import pytest

from mailward.formats.network import normal_ip, source_of


@pytest.mark.parametrize(
    ("peer_ip", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9%eth0", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("?", "?"),
    ],
)
def test_what_counts_as_one_source(peer_ip: str, network: str) -> None:
    assert source_of(peer_ip) == network


@pytest.mark.parametrize("peer_ip", ["?", "", "192.0.2.300", "mx.example.net"])
def test_text_that_is_no_address(peer_ip: str) -> None:
    with pytest.raises(ValueError):
        normal_ip(peer_ip)
