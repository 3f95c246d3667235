"""An account whose server's clock jumps, forward and back, between any two changes: nothing that clients count by goes back."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.disk import Disk
from mailward.model.ids import Uid
from mailward.store.embedded import EmbeddedStore
from mailward.store.ops import Append, CreateMailbox, DeleteMailbox, Expunge, SetFlags
from mailward.store.repair import Report, check_account
from support.storecheck import NOW_S, RECEIVED_AT, message
from support.stores import ALICE, NoHints

YEAR_S = 366 * 24 * 3600


@given(
    st.lists(
        st.tuples(st.integers(-10 * YEAR_S, 10 * YEAR_S), st.sampled_from(["append", "flag", "expunge", "again"])), max_size=20
    )
)
@settings(max_examples=25, deadline=None)
def test_uids_modseqs_and_uidvalidities_rise_whatever_the_clock_says(steps: list[tuple[int, str]]) -> None:
    now_s = NOW_S
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddedStore(Path(folder), Disk(), NoHints(), now_s=lambda: now_s)
        alice = store.open(ALICE)
        alice.apply([CreateMailbox("a")])
        for number, (jump_s, what) in enumerate(steps):
            now_s = NOW_S + jump_s
            before = alice.mailbox("a")
            uids = tuple(map(Uid, alice.view(before.id).uids))
            if what == "append":
                received = datetime.fromtimestamp(now_s, UTC).replace(microsecond=0)
                (added,) = alice.apply([Append(before.id, message(number), received)])
                assert added.uids == (before.uidnext,)
                (dated,) = alice.meta([alice.view(before.id).messages[-1]], ("internal_date",))
                assert dated[0] == int(now_s)
            elif what == "flag" and uids:
                alice.apply([SetFlags(before.id, uids[-1:], "replace", ("\\Seen",) if number % 2 else ("\\Flagged",))])
            elif what == "expunge" and uids:
                alice.apply([Expunge(before.id, uids[:1])])
            elif what == "again":
                alice.apply([DeleteMailbox("a"), CreateMailbox("a")])
                assert alice.mailbox("a").uidvalidity > before.uidvalidity
            after = alice.mailbox("a")
            assert after.highest_modseq >= before.highest_modseq and after.uidnext >= (before.uidnext if what != "again" else 1)
            assert [*alice.view(after.id).uids] == sorted({*alice.view(after.id).uids})
            alice.rest()
        store.close()
        assert check_account(Path(folder) / ALICE, Disk(), int(NOW_S), repair=False) == Report(())


def test_received_at_is_kept_whatever_the_clock_says() -> None:
    """INTERNALDATE is what the message was given, not when it was stored."""
    with tempfile.TemporaryDirectory() as folder:
        store = EmbeddedStore(Path(folder), Disk(), NoHints(), now_s=lambda: 0)
        alice = store.open(ALICE)
        alice.apply([Append(alice.mailbox("INBOX").id, message(1), RECEIVED_AT)])
        (dated,) = alice.meta(alice.view(alice.mailbox("INBOX").id).messages, ("internal_date",))
        assert dated[0] == RECEIVED_AT.timestamp()
        store.close()
