"""What is kept of a message's receipt, beside its decision record, so that its plugins can be run again. Never content, but for
fields of trace that were taken out of the header."""

import zlib
from dataclasses import dataclass, field

import msgspec

from mailward.model.dns import DnsAnswer, RecordType

RECEIPT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Heard:
    """One DNS question and what it was answered; text: why nobody gave an answer that could be used. name: in lower case."""

    name: str
    record_type: RecordType
    answer: DnsAnswer | str


@dataclass(frozen=True, slots=True)
class Receipt:
    """One message that was taken.

    heard: what DNS said to its plugins, each question once. cut: of how many more questions the answers were not kept.
    protocol: as the Received field has it (RFC 3848). former: the name that the client gave before its last, None for none.
    header, whole: SHA-256 of its header with the empty line, and of all its octets, as they were judged: by these a stored copy
    is known again, without what was put on it since. removed: fields that were taken out of it at delivery, by where they stood.
    """

    heard: tuple[Heard, ...]
    cut: int
    protocol: str
    former: str | None
    header: bytes
    whole: bytes
    removed: tuple[tuple[int, bytes], ...] = ()
    version: int = field(default=RECEIPT_VERSION)

    def to_octets(self) -> bytes:
        """Compressed."""
        return zlib.compress(_ENCODER.encode(self), 6)

    @classmethod
    def from_octets(cls, octets: bytes) -> "Receipt":
        """What `to_octets` wrote. Raises ValueError for a newer version or anything else."""
        try:
            receipt = _RECEIPT.decode(zlib.decompress(octets))
        except (msgspec.DecodeError, zlib.error) as error:
            raise ValueError(f"no receipt of a message: {error}") from error
        if receipt.version != RECEIPT_VERSION:
            raise ValueError(f"receipt of version {receipt.version}, this release reads {RECEIPT_VERSION}")
        return receipt


_ENCODER = msgspec.msgpack.Encoder()
_RECEIPT = msgspec.msgpack.Decoder(Receipt)
