"""A demo on other ports than the usual ones, beside whatever holds those: `contrib/dev/demo.sh`, which `make run` ends in."""

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.server import COMMAND, PORTS, free_offset, open_folder

SCRIPT = Path(__file__).parents[2] / "contrib/dev/demo.sh"


@pytest.fixture
def clone() -> Iterator[Path]:
    """As much of a clone as the script looks at."""
    made = open_folder()
    (made / "contrib/dev").mkdir(parents=True)
    shutil.copy(SCRIPT, made / "contrib/dev")
    yield made
    shutil.rmtree(made)


def words(clone: Path, offset: int) -> list[str]:
    return [str(clone / "contrib/dev/demo.sh"), str(Path(COMMAND).parent), str(clone / "run"), str(offset)]


def test_a_held_port_is_named_before_anything_is_written(clone: Path) -> None:
    offset = free_offset()
    port = PORTS["imap"] + offset
    with socket.create_server(("127.0.0.1", port)):
        done = subprocess.run(words(clone, offset), capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 78
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in done.stderr
    assert "make run OFFSET=3000" in done.stderr
    assert [path.name for path in clone.iterdir()] == ["contrib"]


@pytest.mark.timeout(300)
def test_another_demo_has_a_folder_of_its_own_which_the_printed_commands_name(clone: Path) -> None:
    offset = free_offset()
    printed = ""
    with subprocess.Popen(words(clone, offset), stdout=subprocess.PIPE, text=True, start_new_session=True) as demo:
        try:
            assert demo.stdout is not None
            for line in demo.stdout:
                printed += line
                if "Ctrl-C stops the server." in line:
                    break
            (read,) = [line for line in printed.splitlines() if " try read" in line]
            environment = {name: value for name, value in os.environ.items() if name != "MAILWARD_CONFIG"}
            done = subprocess.run(
                ["sh", "-c", read], cwd=clone, env=environment, capture_output=True, text=True, timeout=120, check=False
            )
        finally:
            os.killpg(demo.pid, signal.SIGINT)
    assert f"smtp on 127.0.0.1 port {PORTS['mx'] + offset}," in printed, printed
    assert read.endswith(f" try read -c run-{offset}/mailward.yaml")
    assert done.stdout == "INBOX of demo@example.test is empty\n", done.stderr
