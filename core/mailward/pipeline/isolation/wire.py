"""Frames between a worker and the process of a plugin: JSON for what has a shape, octets behind it as they are.

A frame is two lengths (of the JSON and of all octets behind it, 32 bits each, big-endian), the JSON, the octets. The JSON is a
list that ends in the lengths of the pieces of octets. Nothing in it can name code, so reading a frame runs none (T-PLUG-10).
"""

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MAX_FROM_PLUGIN_OCTETS = 4 * 1024 * 1024
"""One frame of a plugin: far more than any answer that would be used."""
MAX_TO_PLUGIN_OCTETS = 1 << 31
"""A whole message and what goes with it."""

_HEAD = struct.Struct("!II")


class BadFrame(Exception):
    """What came is no frame, or a larger one than is taken."""


@dataclass(frozen=True, slots=True)
class Frame:
    """fields: of a shape that depends on the first, a word. blobs: what `values` finds by its number."""

    fields: Sequence[object]
    blobs: Sequence[bytes]


def frame(fields: Sequence[object], blobs: Sequence[bytes] = ()) -> list[bytes]:
    """One frame, in pieces to be sent one after another. Raises ValueError for an int of thousands of digits."""
    text = json.dumps([*fields, [len(blob) for blob in blobs]], separators=(",", ":")).encode("ascii")
    return [_HEAD.pack(len(text), sum(map(len, blobs))) + text, *blobs]


class FrameReader:
    """Takes octets in any pieces and gives whole frames. limit_octets: of one frame."""

    def __init__(self, limit_octets: int) -> None:
        self._limit_octets = limit_octets
        self._buffer = bytearray()

    def feed(self, octets: bytes) -> Iterator[Frame]:
        """The frames that are complete now. Raises BadFrame, after which nothing more can be read."""
        self._buffer += octets
        at = 0
        try:
            while len(self._buffer) - at >= _HEAD.size:
                text_octets, blob_octets = _HEAD.unpack_from(self._buffer, at)
                if text_octets + blob_octets > self._limit_octets:
                    raise BadFrame(f"a frame of {text_octets + blob_octets} octets; at most {self._limit_octets} are taken")
                end = at + _HEAD.size + text_octets + blob_octets
                if end > len(self._buffer):
                    return
                start = at + _HEAD.size
                yield _parsed(self._buffer[start : start + text_octets], memoryview(self._buffer)[start + text_octets : end])
                at = end
        finally:
            del self._buffer[:at]


def _parsed(text: bytearray, octets: memoryview) -> Frame:
    with octets:
        try:
            *fields, lengths = json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise BadFrame(f"a frame that is no list in JSON: {type(error).__name__}") from error
        if not isinstance(lengths, list) or not all(type(one) is int and one >= 0 for one in lengths):
            raise BadFrame("a frame without the lengths of its octets")
        if not fields or not isinstance(fields[0], str) or sum(lengths) != len(octets):
            raise BadFrame("a frame whose first field is no word, or whose octets have other lengths")
        blobs, at = [], 0
        for length in lengths:
            blobs.append(bytes(octets[at : at + length]))
            at += length
        return Frame(fields, blobs)
