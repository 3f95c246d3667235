"""Tests on data that others wrote. Where the data is not there they are left out, and one line says so."""

import os
from pathlib import Path

CORPORA = Path(os.environ.get("MAILWARD_CORPORA", Path(__file__).parents[2].parent / "shared" / "corpora"))

collect_ignore_glob = [] if CORPORA.is_dir() else ["test_*.py"]


def pytest_report_header() -> str:
    if CORPORA.is_dir():
        return f"corpora: {CORPORA}"
    return "corpora: none at $MAILWARD_CORPORA or ../shared/corpora, so tests/corpora is left out"
