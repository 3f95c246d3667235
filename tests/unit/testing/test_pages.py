"""The tests that the pages print are run as they stand."""

import subprocess
import sys
from pathlib import Path

from support.reader import blocks


def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    for number, block in enumerate(blocks("how-to/test-a-filter.md", "python")):
        (tmp_path / f"test_block_{number}.py").write_text(block)
    assert "6 passed" in outcome(tmp_path)


def test_the_filter_that_keeps_state_passes_its_test(tmp_path: Path) -> None:
    module, tests = blocks("how-to/keep-state-in-a-filter.md", "python")
    (tmp_path / "acme_senders.py").write_text(module)
    (tmp_path / "test_acme_senders.py").write_text(tests)
    assert "3 passed" in outcome(tmp_path, "-k", "not TestConformance")  # half a minute, which others spend


def outcome(folder: Path, *more: str) -> str:
    """What pytest says of the tests in a folder; all have passed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder), *more],
        cwd=folder, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
