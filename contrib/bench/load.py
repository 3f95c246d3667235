"""The load: smtp-source from Postfix, one message a connection."""

import subprocess
import time

from support.processes import program

DISCARD_DOMAIN = "load.example.test"
"""Mail to it is taken by every side and goes nowhere."""
_LIMIT_S = 300


def smtp_source(port: int, to: str, octets: int, sessions: int, count: int) -> float:
    """Send so many messages of so many octets over so many sessions at once; seconds until the last 250."""
    command = [
        program("smtp-source", "postfix"), "-s", str(sessions), "-m", str(count), "-l", str(octets),
        "-f", "from@sender.invalid", "-t", to, "-M", "load.sender.invalid", f"127.0.0.1:{port}",
    ]  # fmt: skip
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    if done.returncode != 0 or done.stderr:
        raise SystemExit(f"smtp-source to port {port}: {done.stderr[-500:]}")
    return time.perf_counter() - begun


def cell_name(octets: int, sessions: int) -> str:
    size = f"{octets >> 20} MB" if octets >= 1 << 20 else f"{octets >> 10} kB"
    return f"{size}, {sessions} session{'' if sessions == 1 else 's'}"
