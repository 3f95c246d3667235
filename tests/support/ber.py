"""CMS objects put together by hand (RFC 5652), in BER as loose as X.690 allows."""

SIGNED = bytes.fromhex("06092a864886f70d010702")
DATA = bytes.fromhex("06092a864886f70d010701")


def value(tag: int, content: bytes) -> bytes:
    """A definite length in the long form."""
    return bytes([tag, 0x84]) + len(content).to_bytes(4, "big") + content


def open_ended(tag: int, content: bytes) -> bytes:
    """An indefinite length (X.690 section 8.1.3.6)."""
    return bytes([tag, 0x80]) + content + b"\0\0"


def signed(content: bytes) -> bytes:
    """SignedData without signers around one OCTET STRING, which may be constructed."""
    data = value(0x30, b"\x02\x01\x01" + value(0x31, b"") + value(0x30, DATA + value(0xA0, content)) + value(0x31, b""))
    return value(0x30, SIGNED + value(0xA0, data))
