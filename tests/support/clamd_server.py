"""A real clamd for tests: own configuration, own folder, one local signature file that knows EICAR; nothing is downloaded.

The signature is a body signature at any offset (`.ndb`, target 0), so clamd finds EICAR wherever it unpacks to it.
"""

import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import RunningProgram, free_port, program

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
"""The EICAR test string; split so that scanners do not object to this file."""

STREAM_LIMIT_OCTETS = 2_000_000
"""clamd's StreamMaxLength here, small so that tests can exceed it."""


class ClamdServer:
    """socket_path and address are the two forms of the setting `socket`."""

    def __init__(self, folder: Path) -> None:
        clamd = program("clamd", "clamav-daemon")
        self.socket_path = str(folder / "clamd.ctl")
        self.address = f"127.0.0.1:{free_port()}"
        (folder / "db").mkdir()
        (folder / "db" / "test.ndb").write_text(f"Test.Eicar:0:*:{EICAR.hex()}\n")
        config = folder / "clamd.conf"
        config.write_text(
            f"""DatabaseDirectory {folder / "db"}
LocalSocket {self.socket_path}
TCPAddr 127.0.0.1
TCPSocket {self.address.rpartition(":")[2]}
Foreground yes
StreamMaxLength {STREAM_LIMIT_OCTETS}
MaxThreads 4
SelfCheck 0
AlertExceedsMax yes
MaxRecursion 12
AlertEncrypted yes
"""
        )
        self._arguments = [clamd, "-c", str(config)]
        self._log = folder / "clamd.log"
        self.start()

    def start(self) -> None:
        """Start it, also again after `close`; returns when it answers."""
        self._process = RunningProgram(self._arguments, self._log)
        self._process.wait_until(self._answers)

    def close(self) -> None:
        self._process.stop()

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.settimeout(2)
                client.connect(self.socket_path)
                client.sendall(b"zPING\0")
                return client.recv(16).startswith(b"PONG")
        except OSError:
            return False


@pytest.fixture(scope="session")
def clamd_server() -> Iterator[ClamdServer]:
    """One clamd for the whole session."""
    folder = Path(tempfile.mkdtemp(prefix="mailward-clamd-"))
    server = ClamdServer(folder)
    try:
        yield server
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)
