"""What may a run still take? Whatever a script does ends: there are no loops but over the parts of a message, and every step and
every character looked at is counted (T-IMAP-20).
"""

from time import thread_time

from mailward.sieve.endings import RunProblem
from mailward.sieve.limits import Limits


class Spending:
    """Of one run, from now on. All raise RunProblem once a limit is passed."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._steps = self._characters = self._made = 0
        self._begun_s = thread_time()

    def step(self) -> None:
        """Count a command or test, and each part of a loop."""
        self._look_at_clock()
        self._steps += 1
        if self._steps > self._limits.steps:
            raise RunProblem(f"the script takes more than {self._limits.steps} steps")

    def look_through(self, characters: int) -> None:
        """Count text that is about to be looked through."""
        self._characters += characters
        self._look_at_clock()
        if self._characters > self._limits.characters:
            raise RunProblem(f"the script looks through more than {self._limits.characters} characters")

    def make(self, characters: int) -> None:
        """Count text that was made."""
        self._made += characters
        if self._made > self._limits.run_characters:
            raise RunProblem(f"the script makes more than {self._limits.run_characters} characters of text")

    def _look_at_clock(self) -> None:
        """Counting is exact but for what nobody thought of; this is the last bound."""
        if thread_time() - self._begun_s > self._limits.processor_s:
            raise RunProblem(f"the script takes more than {self._limits.processor_s:.0f} seconds of processor time")
