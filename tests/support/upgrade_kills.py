"""`python -m support.upgrade_kills ACCOUNT FOLDER`, faults.so preloaded: an upgrade of an account is killed at each of its file calls.

ACCOUNT is the folder of an account of an earlier form, from which each attempt has a copy. Behind the kill the next one to open it
must find all that an upgrade without a kill finds, and beside it the database as it was.
"""

import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from itertools import count
from pathlib import Path

from mailward.store.schema import VERSION
from support.faults import Action, Fault, arm
from support.store_kills import state
from support.storecheck import COLUMNS, assert_whole
from support.stores import ALICE, embedded


def found_in(folder: Path) -> list[object]:
    """All that clients see once the account is open, and what is made of each message."""
    store = embedded(folder)
    account = store.open(ALICE)
    assert_whole(account)
    messages = [number for info in account.mailboxes() for number in account.view(info.id).messages]
    found = [*state(account), [*account.meta(messages, (*COLUMNS, "thread", "ids", "common_fields"))]]
    store.close()
    return found


def contents(path: Path) -> Sequence[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [f"form {connection.execute('PRAGMA user_version').fetchone()}", *connection.iterdump()]


def main(old: Path, folder: Path) -> None:
    """Prints how many calls there were."""
    (form,) = (form for form in range(1, VERSION) if f"form ({form},)" in contents(old / "index.sqlite"))
    before = contents(old / "index.sqlite")
    shutil.copytree(old, folder / "whole" / ALICE)
    expected = found_in(folder / "whole")
    for at in count(1):
        place = folder / f"{at}"
        shutil.copytree(old, place / ALICE)
        child = os.fork()
        if child == 0:
            arm(place, Fault((Action.KILL, Action.TEAR)[at % 2], at))
            embedded(place).open(ALICE)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert found_in(place) == expected, at
        assert contents(place / ALICE / f"index.sqlite.form-{form}") == before, at
        shutil.rmtree(place)
        if status == 0:
            print(json.dumps(at - 1))
            return
        assert os.WTERMSIG(status) == signal.SIGKILL, status


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
