"""Mail taken over SMTP and synced before 250, beside Postfix and Haraka, and until it can be read in a mailbox.

"discard": into a discard route, beside Postfix's discard transport and Haraka's outbound queue; smtp-sink is what the generator can
do at most. "mailbox": until the last message can be read, beside Postfix with a virtual Maildir and Postfix with Dovecot by LMTP.
"memory": the most that all processes of a server take, shared pages counted once, with 100 sessions of 2 MB.
"""

import contextlib
import time
from collections.abc import Callable, Mapping

from load import cell_name, smtp_source
from measure import Report, Spread, Subject, compare
from processes import PeakMemory, wait_until_idle
from sides import Side, haraka, mailward, mailward_mailbox, postfix_discard, postfix_dovecot, postfix_maildir, sink

CELLS = ((2048, 1), (2048, 10), (2048, 100), (20_480, 10), (20_480, 100), (204_800, 10), (2_097_152, 10), (2_097_152, 100))
MAILBOX_CELLS = ((2048, 10), (20_480, 10), (204_800, 10))
MEMORY_CELL = (2_097_152, 100)
OCTETS_A_RUN = 40_000_000
MOST_A_RUN = 1500
POLL_S = 0.01
READABLE_LIMIT_S = 120.0


def run(rounds: int, report: Report) -> None:
    with contextlib.ExitStack() as stack:
        sides = [stack.enter_context(side()) for side in (mailward, postfix_discard, haraka, sink)]
        for octets, sessions in CELLS:
            _cell(report, "discard", octets, sessions, rounds, sides)
        _memory(report, rounds, sides)
    with contextlib.ExitStack() as stack:
        sides = [stack.enter_context(side()) for side in (mailward_mailbox, postfix_maildir, postfix_dovecot)]
        for octets, sessions in MAILBOX_CELLS:
            _cell(report, "mailbox", octets, sessions, rounds, sides)


def _count(octets: int, sessions: int) -> int:
    return max(sessions * 2, min(MOST_A_RUN, OCTETS_A_RUN // octets))


def _cell(report: Report, kind: str, octets: int, sessions: int, rounds: int, sides: list[Side]) -> None:
    count = _count(octets, sessions)
    subjects = [Subject(side.name, side.pids, _work(side, octets, sessions, count)) for side in sides]
    for subject in subjects:
        subject.run()  # what is done once only is done now
        wait_until_idle(subject.pids)
    compare(report, f"{kind}: {cell_name(octets, sessions)}", subjects, rounds, count)


def _work(side: Side, octets: int, sessions: int, count: int) -> Callable[[], dict[str, float]]:
    """One run of the load on one side, until the last 250 and, where there is a mailbox, until the last message can be read."""

    def run() -> dict[str, float]:
        if side.readable is None:
            return {"accepted": smtp_source(side.port, side.to, octets, sessions, count)}
        wanted = side.readable() + count
        begun = time.perf_counter()
        accepted_s = smtp_source(side.port, side.to, octets, sessions, count)
        while (found := side.readable()) < wanted:
            if time.perf_counter() > begun + READABLE_LIMIT_S:
                raise SystemExit(
                    f"{side.name}: {wanted - found} of {count} messages cannot be read after {READABLE_LIMIT_S:.0f} s"
                )
            time.sleep(POLL_S)
        return {"accepted": accepted_s, "readable": time.perf_counter() - begun}

    return run


def _memory(report: Report, rounds: int, sides: list[Side]) -> None:
    octets, sessions = MEMORY_CELL
    rows: dict[str, Mapping[str, Spread]] = {}
    for side in sides:
        peaks = []
        for _ in range(rounds):
            with PeakMemory(side.pids) as peak:
                smtp_source(side.port, side.to, octets, sessions, sessions * 2)
            peaks.append(peak.octets / 1e6)
            wait_until_idle(side.pids)
        rows[side.name] = {"peak PSS, MB": Spread(tuple(peaks))}
    report.table(f"memory: {cell_name(octets, sessions)}", rows, {"peak PSS, MB": 0})
