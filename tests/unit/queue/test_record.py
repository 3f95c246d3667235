"""Records of a segment: whatever happens to the octets, what is read back was written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.queue.record import HEADER_OCTETS, DamagedRange, Kind, NewerVersion, Record, pack_header, scan

MARK = bytes.fromhex("8f3a5c7711d2e94b")


def record(meta: bytes, body: bytes = b"", kind: Kind = Kind.MESSAGE) -> bytes:
    from zlib import crc32

    return pack_header(MARK, kind, meta, len(body), crc32(body)) + meta + body


RECORDS = [record(json.dumps({"id": n}).encode(), bytes([65 + n]) * (40 * n)) for n in range(5)]
WHOLE = b"".join(RECORDS)
ENDS = [sum(map(len, RECORDS[: n + 1])) for n in range(5)]


def bodies(segment: bytes) -> list[bytes]:
    return [segment[r.body_offset : r.end] for r in scan(segment, MARK) if isinstance(r, Record)]


def test_records_are_read_back_in_order() -> None:
    assert bodies(WHOLE) == [bytes([65 + n]) * (40 * n) for n in range(5)]
    large = pack_header(MARK, Kind.LARGE, b"{}", 10**9, 7) + b"{}"
    (found,) = scan(large, MARK)
    assert isinstance(found, Record) and (found.kind, found.body_octets, found.body_crc) == (Kind.LARGE, 10**9, 7)


@pytest.mark.parametrize("cut", range(len(WHOLE) + 1))
def test_t_q_03_torn_tail_is_passed_over_without_report(cut: int) -> None:
    found = list(scan(WHOLE[:cut], MARK))
    assert all(isinstance(r, Record) for r in found)
    assert len(found) == sum(end <= cut for end in ENDS)


@pytest.mark.parametrize("cut", ENDS)
def test_t_q_03_tail_of_zeros_is_passed_over(cut: int) -> None:
    assert all(isinstance(r, Record) for r in scan(WHOLE[:cut] + bytes(5000), MARK))


@pytest.mark.parametrize("at", range(len(WHOLE)))
def test_t_q_13_a_flipped_octet_costs_one_record_and_is_reported(at: int) -> None:
    damaged = bytearray(WHOLE)
    damaged[at] ^= 0x41
    hit = sum(end <= at for end in ENDS)
    found = list(scan(bytes(damaged), MARK))
    good = [r for r in found if isinstance(r, Record)]
    assert [json.loads(r.meta)["id"] for r in good] == [n for n in range(5) if n != hit]
    (damage,) = [r for r in found if isinstance(r, DamagedRange)]
    assert (damage.offset, damage.end) == (ENDS[hit] - len(RECORDS[hit]), ENDS[hit])


@given(st.binary(max_size=300), st.integers(0, len(WHOLE)), st.integers(0, 300))
def test_t_q_13_any_overwritten_range_never_yields_what_was_not_written(noise: bytes, at: int, drop: int) -> None:
    segment = WHOLE[:at] + noise + WHOLE[at + drop :]
    assert all(body in bodies(WHOLE) for body in bodies(segment))


def test_a_message_cannot_smuggle_in_a_record_of_its_own() -> None:
    guessed = bytes(8)
    forged = pack_header(guessed, Kind.MESSAGE, b'{"id":"forged"}') + b'{"id":"forged"}'
    segment = bytearray(record(b"{}", forged) + record(b'{"id":1}'))
    segment[3] ^= 1  # the record around it is damaged, so the scan looks for the next mark
    found = list(scan(bytes(segment), MARK))
    assert [r.meta for r in found if isinstance(r, Record)] == [b'{"id":1}']


def test_a_newer_version_is_refused() -> None:
    import zlib

    header = bytearray(RECORDS[0][:HEADER_OCTETS])
    header[8] = 3
    header[-4:] = zlib.crc32(header[:-4]).to_bytes(4, "big")
    with pytest.raises(NewerVersion, match="version 3"):
        list(scan(bytes(header) + RECORDS[0][HEADER_OCTETS:], MARK))
