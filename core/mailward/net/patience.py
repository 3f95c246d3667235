"""How long is an SMTP client waited for? A moment of the loop's clock, which moves with what is awaited and what comes.

A command has a time limit from its first octet to its last, so that one that drips in earns nothing; content earns time by its
octets (T-DOS-01). Nothing goes beyond the end of the session.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PatienceLimits:
    """command_s: for a command. stress_command_s: the same for a stranger while places are few. session_s: for everything.

    RFC 5321 section 4.5.3.2.7 would wait five minutes for a command; servers that strangers can fill do not.
    data_octets_per_s: the credit that content earns on top of command_s.
    """

    command_s: float = 60.0
    stress_command_s: float = 10.0
    data_octets_per_s: float = 500.0
    session_s: float = 1800.0


class Patience:
    """Of one connection that begins at `now`."""

    def __init__(self, limits: PatienceLimits, now: float) -> None:
        self._limits = limits
        self._session_end = now + limits.session_s
        self._in_line = False
        self._content_began: float | None = None
        self._content_octets = 0
        self.deadline = min(now + limits.command_s, self._session_end)

    def octets_came(self, octets: int) -> None:
        self._content_octets += octets

    def expect_content(self, now: float, *, hurried: bool) -> None:
        """More of a message is awaited. hurried: the client is a stranger, and places are few."""
        if self._content_began is None:
            self._content_began, self._content_octets = now, 0
        earned_s = self._content_octets / self._limits.data_octets_per_s
        self.deadline = min(self._content_began + self._command_s(hurried=hurried) + earned_s, self._session_end)

    def expect_command(self, now: float, *, has_begun: bool, hurried: bool) -> None:
        """A command is awaited, or what is missing of one that has begun to come."""
        was_in_line, self._in_line = self._in_line, has_begun
        if not (was_in_line and has_begun):
            self._content_began = None
            self.deadline = min(now + self._command_s(hurried=hurried), self._session_end)

    def hurry(self, now: float) -> None:
        """Places have become few while this stranger is awaited."""
        self.deadline = min(self.deadline, now + self._command_s(hurried=True))

    def _command_s(self, *, hurried: bool) -> float:
        return min(self._limits.command_s, self._limits.stress_command_s) if hurried else self._limits.command_s
