"""A short run of the coverage-guided fuzzer, so that its harness stays sound; `make fuzz` is the long one."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).parents[2] / "contrib" / "fuzz" / "message.py"
RUNS = 3000

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64" or sys.version_info >= (3, 15),
    reason="the fuzzer atheris is not made for this machine, see pyproject.toml",
)


def _run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, str(HARNESS), *arguments], capture_output=True, text=True, timeout=110, check=False)


def test_a_short_run_finds_nothing(tmp_path: Path) -> None:
    done = _run(f"-runs={RUNS}", "-max_total_time=15", "-seed=1", str(tmp_path))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "INFO: Instrumenting mailward.formats.mime" in done.stderr + done.stdout
    assert any((tmp_path / "kept").iterdir())


def test_one_input_can_be_checked_again(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"Subject: x\r\n\r\ntext\r\n")
    assert _run(str(path)).returncode == 0
