"""TNEF streams put together by hand (MS-OXTNEF)."""

import struct


def attribute(tag: int, data: bytes, level: int = 2) -> bytes:
    return struct.pack("<BII", level, tag, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def sized(kind: int, tag: int, *values: bytes) -> bytes:
    return struct.pack("<HHI", kind, tag, len(values)) + b"".join(
        struct.pack("<I", len(value)) + padded(value) for value in values
    )


def properties(*found: bytes) -> bytes:
    return struct.pack("<I", len(found)) + b"".join(found)


def attachment(title: bytes, content: bytes | None, *found: bytes) -> bytes:
    data = b"" if content is None else attribute(0x0006800F, content)
    described = attribute(0x00069005, properties(*found)) if found else b""
    return attribute(0x00069002, bytes(14)) + data + attribute(0x00018010, title + b"\0") + described


def packed(tokens: bytes, literal: bytes = b"") -> bytes:
    """Compressed RTF: the given runs, and then octets that stand for themselves."""
    body = tokens + b"".join(b"\0" + literal[at : at + 8] for at in range(0, len(literal), 8))
    return struct.pack("<II4sI", len(body) + 12, 1000, b"LZFu", 0) + body
