"""Where an SMTP server connection stands and what it has said: state, replies not yet sent, errors counted."""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from mailward.model.errors import LocalError
from mailward.model.replies import TOO_MANY_RECIPIENTS
from mailward.model.reply import Reply
from mailward.protocol.smtp.events import Event, Fault, Faulted
from mailward.protocol.smtp.states import MOVES, Limits, State
from mailward.protocol.smtp.watching import Watcher, reply_lines

_STRESS_ERRORS, _STRESS_JUNK = 1, 5


@lru_cache(maxsize=512)
def _octets(answer: Reply) -> bytes:
    """Most replies of a server are the same few."""
    return answer.to_octets()


class Dialogue:
    """The server's side of what is said, for `SmtpServer` to build on."""

    def __init__(self, limits: Limits) -> None:
        self._limits = self._usual_limits = limits
        self._out = bytearray()
        self._errors = 0
        self._junk = self._long_lines = self._failed_logins = 0
        self.state = State.CONNECTED
        self.texts: Mapping[str, str] = {}
        """The admin's words for replies, by the names of `model.replies`; set by the adapter."""
        self.watcher: Watcher | None = None
        """Set by the adapter when somebody watches the connection."""

    @property
    def is_closed(self) -> bool:
        """Send what `data_to_send` returns, then close."""
        return self.state is State.CLOSED

    @property
    def in_transaction(self) -> bool:
        return self.state in (State.MAIL, State.RCPT, State.DATA, State.CHUNKS)

    @property
    def is_annoying(self) -> bool:
        """So many errors that the client may wait for its replies."""
        return self._errors > self._limits.errors // 2

    def data_to_send(self) -> bytes:
        """Replies not yet fetched, in order."""
        octets = bytes(self._out)
        self._out.clear()
        return octets

    def hurry(self) -> None:
        """Bear fewer errors from now on: there is no room for those who make them (Postfix calls it stress)."""
        usual = self._usual_limits
        errors, junk = min(usual.errors, _STRESS_ERRORS), min(usual.junk_commands, _STRESS_JUNK)
        self._limits = replace(usual, errors=errors, junk_commands=junk)

    def _relax(self) -> None:
        """The client is known now."""
        self._limits = self._usual_limits

    def close(self, answer: Reply) -> None:
        """Send a last reply and end the connection, whatever is under way."""
        if self.state is not State.CLOSED:
            self._send(answer)
            self._move(State.CLOSED)

    def _move(self, to: State) -> None:
        if to not in MOVES[self.state]:
            raise LocalError(f"SMTP state {self.state.name} cannot become {to.name}")
        self.state = to

    def _send(self, answer: Reply) -> None:
        answer = answer.worded(self.texts)
        self._out += _octets(answer)
        if self.watcher is not None:
            for line in reply_lines(answer):
                self.watcher.server_says(line)

    def _answer(self, answer: Reply) -> None:
        """Send, count what is an error, close where the reply says so."""
        self._send(answer)
        if answer.code >= 500 or answer is TOO_MANY_RECIPIENTS:  # who goes on after that does not read (T-DOS-03)
            self._errors += 1
        if answer.closes and self.state is not State.CLOSED:
            self._move(State.CLOSED)

    def _refuse(self, answer: Reply) -> list[Event]:
        self._answer(answer)
        return []

    def _fault(self, fault: Fault, answer: Reply) -> list[Event]:
        self._answer(answer)
        return [Faulted(fault)]

    @property
    def _errs_too_often(self) -> bool:
        limits = self._limits
        return self._errors > limits.errors or self._junk > limits.junk_commands or self._failed_logins >= limits.failed_logins
