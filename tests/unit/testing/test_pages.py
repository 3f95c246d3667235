"""The tests that the pages print are run as they stand."""

import subprocess
import sys
from pathlib import Path

from support.reader import blocks


def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    for number, block in enumerate(blocks("how-to/test-a-filter.md", "python")):
        (tmp_path / f"test_block_{number}.py").write_text(block)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "6 passed" in done.stdout, done.stdout + done.stderr
