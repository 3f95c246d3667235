"""What a run of the tests leaves out, and says so."""

import gc

import pytest

from support.corpora import FOLDER
from support.logs import log_plainly

collect_ignore = [] if FOLDER.is_dir() else ["corpora"]

log_plainly()


def pytest_collection_finish() -> None:
    """Thousands of tests that stay to the end are not looked through for garbage again and again."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for what others wrote and this machine has not."""
    if collect_ignore:
        terminalreporter.write_line(f"left out: tests/corpora, since there is no folder {FOLDER}; MAILWARD_CORPORA names another")
