"""A desk over a real store for each test."""

from pathlib import Path

import pytest

from support.pop3 import Office


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)
