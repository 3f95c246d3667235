"""Benchmarks: Mailward and its peers side by side in one run, alternating, medians and ratios.

`make bench` runs all of it (a few minutes); `python contrib/bench/run.py smtp --rounds 5` a part. Only ratios of one run
count: the same cell moves by up to two between runs of a busy machine. Nothing here fails on a slow figure.
"""

import argparse
import datetime
import platform
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "tests")]

import imap
import parse
import smtp

PARTS = {"parse": parse.run, "smtp": smtp.run, "imap": imap.run}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=list(PARTS), help=f"which: {', '.join(PARTS)} (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each cell is measured on each server (default 3)")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    cores = len(__import__("os").sched_getaffinity(0))
    print(f"{datetime.date.today()}, {platform.system()} {platform.machine()}, {cores} cores, Python {platform.python_version()}")
    for part in options.parts:
        print(f"\n== {part}")
        PARTS[part](options.rounds)


if __name__ == "__main__":
    main()
