"""One of several server processes over the same mail: `python imap_worker.py FOLDER` serves IMAP and prints its port with TLS."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def start_worker(folder: Path, log: Path) -> tuple["subprocess.Popen[str]", int]:
    """A process, and its port. It ends when its standard input is closed."""
    path = os.pathsep.join(str(ROOT / name) for name in ("core", "plugins", "tests"))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, __file__, str(folder)],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
        )
    assert process.stdout is not None
    port = process.stdout.readline()
    assert port, log.read_text()
    return process, int(port)


if __name__ == "__main__":
    from support.imap_server import ImapServer
    from support.logs import log_plainly

    log_plainly(sys.stderr)
    server = ImapServer(Path(sys.argv[1]))
    print(server.tls_port, flush=True)
    sys.stdin.read()
    server.close()
