"""Ops on mailboxes by what they cost the index, which other sessions wait for."""

from contextlib import closing
from pathlib import Path

from mailward.database import connect, transaction
from mailward.store.mailboxes import create, make_account
from mailward.store.oplist import OpList
from mailward.store.ops import CreateMailbox
from mailward.store.schema import SCHEMA, VERSION
from mailward.store.uids import Numbers
from support.storecheck import NOW_S


def test_t_dos_08_a_mailbox_is_made_as_fast_where_the_level_above_has_many(tmp_path: Path) -> None:
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with closing(connect(tmp_path / "index", schema=SCHEMA, version=VERSION)) as connection:
        make_account(connection, int(NOW_S))
        with transaction(connection):
            ops = OpList(connection, Numbers(connection), int(NOW_S), iter(()))
            connection.set_progress_handler(count, 1)
            taken = []
            for number in range(1000):
                so_far = steps
                create(ops, CreateMailbox(f"Work/{number}"))
                taken.append(steps - so_far)
    assert taken[-1] < 2 * taken[1], "instructions of SQLite, beside 999 others and beside one"
