"""SMTP accept: synced before 250, into a discard route, beside Postfix with its discard transport; load by smtp-source."""

import subprocess
import time
from pathlib import Path

from measure import Subject, compare

from support.postfix import postfix
from support.processes import program
from support.server import server

POLICY = """\
version: 1
plugins: {}
"""

CELLS = ((2048, 1), (2048, 10), (2048, 100), (20480, 10), (204800, 10))
OCTETS_A_RUN = 40_000_000


def run(rounds: int) -> None:
    source = program("smtp-source", "postfix")
    discard = ("transport_maps = static:discard:", "relay_domains = load.example.test", "smtpd_client_connection_count_limit = 0")
    with server(policy=POLICY, start=False) as mailward, postfix(9, *discard) as other:
        config = mailward.config.read_text()
        config = (
            config.replace("routes: {} ", "routes: {load.example.test: discard}\nrelay_domains: [load.example.test] ")
            + "limits: {connections_per_address: 1000}\n"
        )
        mailward.config.write_text(config)
        mailward.start()
        assert mailward.process is not None
        master = int(next(Path(other.folder).glob("queue/pid/master.pid")).read_text())
        for octets, sessions in CELLS:
            count = max(sessions * 4, min(1500, OCTETS_A_RUN // octets))
            subjects = [
                Subject(name, pid, lambda port=port: _load(source, port, octets, sessions, count))  # noqa: B023 - called at once
                for name, pid, port in (("mailward", mailward.process.pid, mailward.port("mx")), ("postfix", master, other.port))
            ]
            for subject in subjects:
                subject.run()
            compare(f"{octets} octets, {sessions} sessions", subjects, rounds, count)


def _load(source: str, port: int, octets: int, sessions: int, count: int) -> float:
    begun = time.perf_counter()
    done = subprocess.run(
        [source, "-s", str(sessions), "-m", str(count), "-l", str(octets), "-f", "from@sender.invalid", "-t", "to@load.example.test",
         "-M", "load.sender.invalid", f"127.0.0.1:{port}"],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if done.returncode != 0 or done.stderr:
        raise SystemExit(f"smtp-source: {done.stderr[-500:]}")
    return time.perf_counter() - begun
