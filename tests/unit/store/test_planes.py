"""Columns of numbers come back as they were packed, and take few octets where their octets are alike."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.model.errors import StorageError
from mailward.store.planes import WIDTH, pack, unpack

HIGHEST = 2**64 - 1


@given(
    st.integers(0, HIGHEST), st.dictionaries(st.integers(0, WIDTH - 1), st.integers(0, HIGHEST), max_size=9), st.integers(0, 300)
)
def test_any_numbers_come_back(usual: int, others: dict[int, int], step: int) -> None:
    column = array("Q", [others.get(place, (usual + step * place) % 2**64) for place in range(WIDTH)])
    assert unpack(pack(column)) == column


@pytest.mark.parametrize(
    ("numbers", "octets"),
    [
        ([7] * WIDTH, 9),  # flags of a mailbox where all has been read
        ([0] * (WIDTH - 1) + [HIGHEST], 9 + 8 * WIDTH),
        (list(range(2**40, 2**40 + WIDTH)), 9 + 2 * WIDTH),  # messages of mail that has come into one mailbox
        ([1, 2**16] * (WIDTH // 2), 9 + 2 * WIDTH),
    ],
)
def test_octets_that_are_alike_are_written_once(numbers: list[int], octets: int) -> None:
    packed = pack(array("Q", numbers))
    assert len(packed) == octets and list(unpack(packed)) == numbers


def test_the_lowest_octet_comes_first_on_every_machine() -> None:
    assert pack(array("Q", [0x0102] * WIDTH)) == bytes((0, 2, 1, 0, 0, 0, 0, 0, 0))
    assert pack(array("Q", [0x0102, *[0x0103] * (WIDTH - 1)]))[:12] == bytes((1, 2, 1, 0, 0, 0, 0, 0, 0, 2, 3, 3))


@pytest.mark.parametrize(
    "octets", [b"", b"\0", bytes(8), bytes(10), b"\1" + bytes(8), b"\1" + bytes(8 + WIDTH - 1), bytes(8 * WIDTH), b"\x80" * 99]
)
def test_t_q_13_a_damaged_column_is_told(octets: bytes) -> None:
    with pytest.raises(StorageError, match="store check --repair") as raised:
        unpack(octets)
    assert raised.value.permanent
