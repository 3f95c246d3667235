"""The clock of a working server jumps by an hour and by ten years, forward and back, while it runs and between two runs (T-Q-07).

Nothing is lost, doubled, or returned to its sender before its attempts are made, and mail flows on at once.
"""

import contextlib
import os
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from support.campaign import FAR, MAILBOXES, Load, campaign, delivered, quarantined, relayed
from support.faults import compiled
from support.oracle import ClientLog, Copy, Findings, judge
from support.server import Server, open_folder
from support.smtp_peer import Peer

HOUR_S = 3600
TEN_YEARS_S = 3653 * 24 * HOUR_S
BUSY = b"451 4.3.0 busy\r\n"
MESSAGES = 4


class Clock:
    """What servers that get this environment take for the time of day."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.write_bytes(bytes(8))
        path.chmod(0o644)
        self.environment = {"LD_PRELOAD": str(compiled("clock", "-ldl")), "CLOCK_FILE": str(path)}

    def jump(self, seconds: int) -> None:
        """All processes see it at once."""
        with self._path.open("r+b") as file:
            (off_s,) = struct.unpack("=q", os.pread(file.fileno(), 8, 0))
            os.pwrite(file.fileno(), struct.pack("=q", off_s + seconds), 0)


@pytest.fixture
def clock() -> Iterator[Clock]:
    with contextlib.ExitStack() as stack:
        path = open_folder() / "clock"
        stack.callback(path.parent.rmdir)
        stack.callback(path.unlink, missing_ok=True)
        yield Clock(path)


def copies(target: Server, far: Peer) -> list[Copy]:
    """At the ends that senders want; that some mail is late they may be told, but not that it failed."""
    found = [*relayed(far), *delivered(target), *quarantined(target)]
    assert not [copy for copy in found if copy.end == "returned" and b"Action: delayed" not in (copy.octets or b"")]
    return [copy for copy in found if copy.end != "returned"]


def require_all(target: Server, far: Peer, log: ClientLog) -> Findings:
    """Everything acknowledged arrives, soon, and once."""
    target.until(lambda: not judge(log, copies(target, far)).lost, 120)
    return judge(log, copies(target, far)).require(why=target.log())


@pytest.mark.timeout(900)
def test_t_q_07_while_the_clock_jumps_under_load_mail_flows_and_nothing_is_lost_doubled_or_returned(clock: Clock) -> None:
    with campaign(clock.environment) as (target, far, log):
        load = Load(target, log)
        load.start()
        for jump_s in (HOUR_S, -HOUR_S, -HOUR_S, TEN_YEARS_S, -TEN_YEARS_S, -TEN_YEARS_S, TEN_YEARS_S):
            clock.jump(jump_s)
            before = len(log.read()[1])
            target.until(lambda before=before: len(log.read()[1]) > before + 5, 60)  # type: ignore[misc]
        load.stop()
        assert b"worker killed" not in target.log_octets()
        years = {int(year) for year in re.findall(rb"timestamp=(\d{4})-", target.log_octets())}
        assert max(years) - min(years) >= 19, "the clock did not jump"
        require_all(target, far, log)


@pytest.mark.timeout(900)
def test_t_q_07_mail_that_waits_while_the_clock_jumps_between_runs_is_tried_again_and_not_returned(clock: Clock) -> None:
    with campaign(clock.environment) as (target, far, log):
        far.answers["RCPT"] = BUSY

        def send(number: int, recipients: Sequence[str]) -> None:
            with target.smtp() as client:
                client.sendmail("sender@sender.invalid", recipients, log.sending(f"token-{number}", 3, recipients))
            log.acknowledged(f"token-{number}")

        for number in range(MESSAGES):
            send(number, (*MAILBOXES, FAR))

        def failures(number: int) -> bool:
            waiting = [one["recipients"] for one in target.json("queue", "list") if one["reverse_path"]]
            return [[recipient["failures"] for recipient in one] for one in waiting] == [[number]] * MESSAGES

        target.until(lambda: failures(1))
        target.terminate()
        clock.jump(TEN_YEARS_S)
        target.start()
        target.until(lambda: failures(2))
        target.terminate()
        clock.jump(-2 * TEN_YEARS_S)
        target.start()
        target.until(lambda: failures(2))
        send(MESSAGES, MAILBOXES)
        target.run("queue", "retry", "--all")
        target.until(lambda: failures(3))
        far.answers.clear()
        target.terminate()
        clock.jump(TEN_YEARS_S + 2 * HOUR_S)
        target.start()
        require_all(target, far, log)
