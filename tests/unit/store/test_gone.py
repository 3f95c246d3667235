"""What the log tells of UIDs that went long ago covers all that went, and nothing that is there (RFC 7162 section 3.2.6)."""

from array import array
from contextlib import closing
from itertools import chain, pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mailward.database import connect
from mailward.store.gone import MERGED, LongGone, merge
from mailward.store.mailboxes import make_account
from mailward.store.schema import SCHEMA, VERSION
from support.storecheck import NOW_S

UIDS = st.integers(1, 60)


@given(last=st.integers(0, 60), here=st.sets(UIDS))
def test_the_ranges_are_all_uids_up_to_the_last_but_those_that_are_here(last: int, here: set[int]) -> None:
    ranges = list(LongGone(last, array("I", sorted(here))))
    assert list(chain.from_iterable(range(first, end + 1) for first, end in ranges)) == sorted({*range(1, last + 1)} - here)
    assert all(end + 1 < first for (_, end), (first, _) in pairwise(ranges)), "no two of them are one"


def test_what_can_be_told_is_true_and_nothing_is_not() -> None:
    assert LongGone(1) and not LongGone()


def test_rows_of_what_went_become_one_a_mailbox_and_later_ones_stay(tmp_path: Path) -> None:
    rows = [(1, 5, 1, (7, 3)), (1, 6, 0, (4, 4)), (1, 8, 1, (5,)), (2, 7, 1, (9,)), (1, 11, 1, (8,)), (2, 12, 1, (10,))]
    with closing(connect(tmp_path / "index", schema=SCHEMA, version=VERSION)) as connection:
        make_account(connection, int(NOW_S))
        for mailbox, modseq, gone, uids in rows:
            packed, added = array("I", uids).tobytes(), array("Q", [1] * len(uids)).tobytes()
            connection.execute("INSERT INTO change VALUES (?, ?, ?, ?, ?)", (mailbox, modseq, gone, packed, added))

        def merged(modseq: int) -> list[tuple[int, int, int, tuple[int, ...]]]:
            merge(connection, modseq)
            found = connection.execute("SELECT mailbox, modseq, gone, uids FROM change ORDER BY mailbox, modseq")
            return [(*place, tuple(array("I", uids))) for *place, uids in found]

        later = [(1, 11, 1, (8,)), (2, 12, 1, (10,))]
        assert merged(4) == sorted(rows)
        assert merged(10) == sorted([(1, 6, 0, (4, 4)), (1, 8, MERGED, (7,)), (2, 7, MERGED, (9,)), *later])
        assert merged(11) == sorted([(1, 6, 0, (4, 4)), (1, 11, MERGED, (8,)), (2, 7, MERGED, (9,)), (2, 12, 1, (10,))])
