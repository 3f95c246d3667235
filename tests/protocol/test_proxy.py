"""The PROXY protocol against the examples of its specification, cut anywhere, and against what is none."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.model.errors import PeerError
from mailward.protocol.proxy import MOST_OCTETS, ProxyHeader, read_proxy_header

SIGNATURE = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"


def version_2(command: int, family: int, addresses: bytes, *, version: int = 2, length: int | None = None) -> bytes:
    return (
        SIGNATURE + struct.pack("!BBH", version << 4 | command, family, len(addresses) if length is None else length) + addresses
    )


FOUR = bytes([192, 0, 2, 1, 198, 51, 100, 2]) + struct.pack("!HH", 56324, 443)
SIX = bytes.fromhex("20010db8000000000000000000000001" * 2) + struct.pack("!HH", 1, 2)
LONGEST_V1 = b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"

HEADERS = [
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", "192.0.2.1"),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255"),
    (b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n", "2001:db8::1"),
    (b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    (b"PROXY UNKNOWN\r\n", None),
    (LONGEST_V1, None),
    (version_2(1, 0x11, FOUR), "192.0.2.1"),
    (version_2(1, 0x21, SIX), "2001:db8::1"),
    (version_2(1, 0x11, FOUR + b"\x04\x00\x03abc"), "192.0.2.1"),
    (version_2(0, 0x00, b""), None),
    (version_2(0, 0x11, FOUR), None),
    (version_2(1, 0x00, b""), None),
]  # fmt: skip


@pytest.mark.parametrize(("octets", "address"), HEADERS)
def test_a_header_is_read_to_its_end_and_no_further(octets: bytes, address: str | None) -> None:
    for rest in (b"", b"EHLO c.example.net\r\n", b"\x16\x03\x01", b"PROXY TCP4 203.0.113.9 198.51.100.2 1 2\r\n"):
        assert read_proxy_header(octets + rest) == ProxyHeader(len(octets), address)
    for end in range(len(octets)):
        assert read_proxy_header(octets[:end]) is None


@pytest.mark.parametrize(
    "octets",
    [
        *(
            b"EHLO c.example.net\r\n",
            b"PROXY\r\n",
            b"PROXY TCP4\r\n",
            b"proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n",
            b"\x16\x03\x01\0",
        ),
        *(b"PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n", b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"),
        *(b"PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n", b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n"),
        *(
            b"PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n",
            b"PROXY UDP4 1 2 3 4\r\n",
        ),
        *(b"PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n", b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n" + b" " * 80),
        b"PROXY UNKNOWN " + b"x" * 100,
        *(version_2(1, 0x11, FOUR, version=1), version_2(2, 0x11, FOUR), version_2(1, 0x11, FOUR[:11]), version_2(1, 0x21, FOUR)),
        version_2(1, 0x11, FOUR, length=MOST_OCTETS),
        *(version_2(1, 0x12, FOUR), version_2(1, 0x31, b"\0" * 216), version_2(1, 0x41, FOUR)),
        *(SIGNATURE[:11] + b"\x0b", b"\r\n\r\n\0\r\nQUIT\r\n"),
    ],
)
def test_t_relay_10_what_is_no_header_is_an_error(octets: bytes) -> None:
    with pytest.raises(PeerError):
        read_proxy_header(octets)


@given(
    st.one_of(
        st.binary(max_size=300),
        st.builds(lambda h, n, x: h[0][:n] + x, st.sampled_from(HEADERS), st.integers(0, 120), st.binary(max_size=60)),
    )
)
def test_t_relay_10_whatever_comes_it_is_a_header_or_an_error_or_waits_for_little_more(octets: bytes) -> None:
    try:
        header = read_proxy_header(octets)
    except PeerError:
        return
    assert len(octets) < MOST_OCTETS if header is None else 0 < header.size_octets <= min(len(octets), MOST_OCTETS)
