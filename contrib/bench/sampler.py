"""Starts `mailward` with a sampling profiler in each of its processes: `sampler.py FOLDER ARGUMENT...`.

The signal BEGIN begins to sample a process, END ends it and writes FOLDER/PID.json, which `profiling` reads. The kernel's profiling
timer interrupts a process as it uses processor time; each sample is the stack of the main thread, where the event loop runs,
and weighs what that thread has used since the sample before. So the work is not slowed down as by a tracing profiler. What C
code takes counts for the Python function that called it.
"""

import json
import os
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path
from types import FrameType

BEGIN, END = signal.SIGRTMIN + 1, signal.SIGRTMIN + 2
"""Those with names the server heeds itself."""
INTERVAL_S = 0.001
"""Asked for; the kernel rounds it up to its own tick, often 4 ms."""

Stack = tuple[tuple[str, str], ...]
"""File and function, the innermost first."""


class Sampler:
    """Samples this process between the two signals."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stacks: dict[Stack, float] = defaultdict(float)
        self._begun_s = self._process_begun_s = self._seen_s = 0.0

    def heed(self) -> None:
        signal.signal(BEGIN, self._begin)
        signal.signal(END, self._write)

    def _begin(self, number: int, frame: FrameType | None) -> None:
        self._stacks.clear()
        self._begun_s = self._seen_s = time.thread_time()
        self._process_begun_s = time.process_time()
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)

    def _sample(self, number: int, frame: FrameType | None) -> None:
        stack = []
        while frame is not None:
            stack.append((frame.f_code.co_filename, frame.f_code.co_qualname))
            frame = frame.f_back
        now_s = time.thread_time()
        self._stacks[tuple(stack)] += now_s - self._seen_s
        self._seen_s = now_s

    def _write(self, number: int, frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        found = {
            "main_s": time.thread_time() - self._begun_s,
            "process_s": time.process_time() - self._process_begun_s,
            "stacks": [[seconds, stack] for stack, seconds in self._stacks.items()],
        }
        draft = self._folder / f"{os.getpid()}.draft"
        draft.write_text(json.dumps(found))
        draft.rename(draft.with_suffix(".json"))


def main() -> None:
    sampler = Sampler(Path(sys.argv.pop(1)))
    os.register_at_fork(after_in_child=sampler.heed)
    from mailward.cli import main as mailward

    mailward()


if __name__ == "__main__":
    main()
