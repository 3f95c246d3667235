"""A desk over a real store for each test, or one whose accounts share mailboxes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.imap import Office
from support.sharing import Town


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    made = Town(tmp_path)
    yield made
    made.directory.close()
