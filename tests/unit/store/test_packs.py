"""Octets in packs: what is large is mapped, what is damaged is never given out."""

import mmap
from collections.abc import Callable
from pathlib import Path

import pytest

from mailward.disk import Disk
from mailward.model.errors import StorageError
from mailward.store.packs import HEADER_OCTETS, Locator, Packs, Record

SMALL = b"Subject: small\r\n\r\nx\r\n"
LARGE = b"Subject: large\r\n\r\n" + b"0123456789abcde\n" * 40_000


def _append(packs: Packs, *messages: bytes) -> list[Locator]:
    return packs.append(1, [Record(n, octets, 0, "INBOX", ("\\Seen",)) for n, octets in enumerate(messages, 1)])


def test_large_messages_are_mapped_and_small_ones_are_read(tmp_path: Path) -> None:
    packs = Packs(tmp_path, Disk())
    messages = (SMALL, LARGE, SMALL, LARGE)
    for locator, octets in zip(_append(packs, *messages), messages, strict=True):
        found = packs.octets(locator)
        assert isinstance(found, mmap.mmap) == (octets is LARGE)
        assert bytes(found) == octets == packs.read(locator, 0, None)
        assert packs.read(locator, 9, 5) == octets[9:14]


def test_a_large_message_that_begins_in_a_page_is_read(tmp_path: Path) -> None:
    """As those of earlier releases do."""
    packs = Packs(tmp_path, Disk())
    (locator,) = _append(packs, LARGE)
    pack = tmp_path / "00000001.pack"
    pack.write_bytes(b"\0" * 7 + pack.read_bytes())
    found = packs.octets(Locator(1, locator.offset + 7, locator.record, locator.size_octets))
    assert isinstance(found, bytes)
    assert found == LARGE


def _flip(octets: bytearray, locator: Locator) -> None:
    octets[locator.offset + HEADER_OCTETS + len(LARGE) // 2] ^= 1


def _cut(octets: bytearray, locator: Locator) -> None:
    del octets[locator.offset + HEADER_OCTETS + len(LARGE) // 2 :]


def _other(octets: bytearray, locator: Locator) -> None:
    octets[locator.offset] ^= 1


@pytest.mark.parametrize("damage", [_flip, _cut, _other])
def test_damage_is_told_and_not_given_out(tmp_path: Path, damage: Callable[[bytearray, Locator], None]) -> None:
    packs = Packs(tmp_path, Disk())
    (locator,) = _append(packs, LARGE)
    octets = bytearray((tmp_path / "00000001.pack").read_bytes())
    damage(octets, locator)
    (tmp_path / "00000001.pack").write_bytes(octets)
    with pytest.raises(StorageError) as told:
        packs.octets(locator)
    assert told.value.permanent


def test_a_missing_pack_is_told(tmp_path: Path) -> None:
    packs = Packs(tmp_path, Disk())
    with pytest.raises(StorageError):
        packs.octets(Locator(3, 4096 - HEADER_OCTETS, 1, len(LARGE)))


def test_many_are_read_in_any_order_and_a_damaged_one_hurts_no_other(tmp_path: Path) -> None:
    packs = Packs(tmp_path, Disk())
    messages = [SMALL, b"", LARGE, *(b"Subject: %d\r\n\r\n%b" % (n, b"y" * 1000 * n) for n in range(60)), SMALL]
    locators = _append(packs, *messages)
    wanted = [*range(len(messages)), 7, 3, 3, 60, 0]
    assert [bytes(_octets(found)) for found in packs.many([locators[n] for n in wanted])] == [messages[n] for n in wanted]
    pack = tmp_path / "00000001.pack"
    octets = bytearray(pack.read_bytes())
    octets[locators[10].offset + HEADER_OCTETS + 20] ^= 1
    del octets[locators[-1].offset + HEADER_OCTETS + 3 :]
    pack.write_bytes(octets)
    others = Locator(2, 0, 1, 5)
    found = list(packs.many([*locators, others]))
    errors = [n for n, one in enumerate(found) if isinstance(one, StorageError)]
    assert errors == [10, len(messages) - 1, len(messages)], "flipped, cut off, missing"
    assert [bytes(_octets(one)) for n, one in enumerate(found) if n not in errors] == [
        octets for n, octets in enumerate(messages) if n not in errors
    ]


def _octets(found: bytes | mmap.mmap | StorageError) -> bytes | mmap.mmap:
    assert not isinstance(found, StorageError)
    return found
