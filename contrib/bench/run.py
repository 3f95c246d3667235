"""Benchmarks: Mailward and its peers side by side in one run, alternating, medians with lowest and highest, and ratios.

`make bench` runs all of it; `make bench BENCH_ARGS="smtp --rounds 3"` a part. Only ratios of one run count: the same cell moves by
up to two between runs of a busy machine. Nothing here fails on a slow figure.
"""

import argparse
import datetime
import os
import platform
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "tests")]

import hooks
import idle
import imap
import parse
import policy
import profiling
import queue_start
import receipts
import relay
import shadow
import smtp
from measure import Report

COMPARED = ("smtp", "imap", "relay")
PARTS = ("parse", "hooks", "shadow", "policy", "receipts", "queue", "idle", *COMPARED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=PARTS, help=f"which: {', '.join(PARTS)} (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each cell is measured on each server (default 3)")
    parser.add_argument("--items", type=int, default=100_000, help="how long the queue is in the part queue (default 100000)")
    parser.add_argument("--messages", type=int, default=10_000, help="in the mailbox of the part imap (default 10000)")
    parser.add_argument(
        "--formats", default="mdbox,maildir", help="of Dovecot's mailboxes beside ours in the part imap (default: mdbox,maildir)"
    )
    parser.add_argument(
        "--cells", default="", help="of the part imap only those whose names begin so: SELECT,STORE (default: all)"
    )
    parser.add_argument(
        "--records", type=int, default=1_000_000, help="in the store searched in the part policy (default 1000000)"
    )
    parser.add_argument(
        "--full", action="store_true", help=f"relay {relay.FULL.messages} messages to {relay.FULL.destinations} destinations"
    )
    parser.add_argument("--json", action="store_true", help=f"an object a line in place of tables; {' and '.join(COMPARED)} only")
    parser.add_argument("--profile", action="store_true", help="not how fast smtp is, but what takes its time")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if options.rounds < 1:
        parser.error("--rounds is at least 1")
    if options.json and set(options.parts) - set(COMPARED):
        parser.error(f"--json: the other parts have no table; name {' or '.join(COMPARED)}")
    if options.profile and list(options.parts) != ["smtp"]:
        parser.error("--profile is for smtp: run.py smtp --profile")
    cores = len(os.sched_getaffinity(0))
    if not options.json:
        print(
            f"{datetime.date.today()}, {platform.system()} {platform.machine()}, {cores} cores, Python {platform.python_version()}"
        )
    report = Report(as_json=options.json)
    for part in options.parts:
        report.part(part)
        if options.profile:
            profiling.run()
        elif part == "parse":
            parse.run(options.rounds)
        elif part == "hooks":
            hooks.run(options.rounds)
        elif part == "shadow":
            shadow.run(options.rounds)
        elif part == "policy":
            policy.run(options.records)
        elif part == "receipts":
            receipts.run(options.rounds)
        elif part == "queue":
            queue_start.run(options.rounds, options.items)
        elif part == "idle":
            idle.run(options.rounds)
        elif part == "imap":
            cells = tuple(filter(None, options.cells.split(",")))
            imap.run(options.rounds, report, options.messages, cells, options.formats.split(","))
        elif part == "relay":
            relay.run(options.rounds, report, relay.FULL if options.full else relay.USUAL)
        else:
            smtp.run(options.rounds, report)


if __name__ == "__main__":
    main()
