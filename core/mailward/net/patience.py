"""How long is a client waited for? A moment of the loop's clock, which moves with what is awaited and what comes.

A command has a time limit from its first octet to its last, so that one that drips in earns nothing; content earns time by its
octets, and no more of it in advance than a slow line needs: a burst buys no long silence (T-DOS-01). Time in which nobody waits
for the client is not his. Nothing goes beyond the end of the session.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PatienceLimits:
    """command_s: for a command, and for the first octets of content. stress_s: the most that a stranger is waited for while
    places are few. session_s: for everything.

    RFC 5321 section 4.5.3.2.7 would wait five minutes for a command; servers that strangers can fill do not.
    data_octets_per_s: so many octets of content earn a second. content_s: the most that is waited for the next of them, as long
    as a client waits for us (RFC 5321 section 4.5.3.2.5).
    """

    command_s: float = 60.0
    content_s: float = 180.0
    stress_s: float = 10.0
    data_octets_per_s: float = 500.0
    session_s: float = 1800.0


class Patience:
    """Of one connection that begins at `now`."""

    def __init__(self, limits: PatienceLimits, now: float) -> None:
        self._limits = limits
        self._session_end = now + limits.session_s
        self._in_line = False
        self._in_content = False
        self._left_s = 0.0
        self.deadline = min(now + limits.command_s, self._session_end)

    def octets_came(self, octets: int, now: float) -> None:
        """The wait is over. What is left of it counts where they are content, and so do they."""
        self._left_s = max(0.0, self.deadline - now) + octets / self._limits.data_octets_per_s

    def expect_content(self, now: float, *, hurried: bool) -> None:
        """More of a message is awaited. hurried: the client is a stranger, and places are few."""
        left_s = min(self._left_s, self._limits.content_s) if self._in_content else self._limits.command_s
        self._in_content = True
        self.deadline = min(now + self._bounded(left_s, hurried=hurried), self._session_end)

    def expect_command(self, now: float, *, has_begun: bool, hurried: bool) -> None:
        """A command is awaited, or what is missing of one that has begun to come."""
        was_in_line, self._in_line = self._in_line, has_begun
        if not (was_in_line and has_begun):
            self._in_content = False
            self.deadline = min(now + self._bounded(self._limits.command_s, hurried=hurried), self._session_end)

    def hurry(self, now: float) -> None:
        """Places have become few while this stranger is awaited."""
        self.deadline = min(self.deadline, now + self._limits.stress_s)

    def _bounded(self, wait_s: float, *, hurried: bool) -> float:
        return min(wait_s, self._limits.stress_s) if hurried else wait_s
