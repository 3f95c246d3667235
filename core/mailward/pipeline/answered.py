"""What did DNS say to the plugins that looked at this message? Whatever is asked for it, by whichever plugin, is noted here.

The context tells whose question it is: all that runs for one message runs in its context or in one copied from it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from mailward.model.dns import DnsAnswer, RecordType
from mailward.model.receipt import Heard

MOST_ANSWERS = 300
MOST_OCTETS = 64 * 1024
"""Of one message: names, aliases and records together. A stranger chooses what is asked, and how long the answers are."""


class Answered:
    """What has been noted so far. The first answer to a question stays. cut: how many were too many."""

    def __init__(self) -> None:
        self.cut = 0
        self._heard: dict[tuple[str, RecordType], Heard] = {}
        self._octets = 0

    def __len__(self) -> int:
        return len(self._heard)

    def note(self, name: str, record_type: RecordType, answer: DnsAnswer | str) -> None:
        """answer: why there is none where nobody gave one that could be used."""
        name = name.removesuffix(".").lower()
        if (name, record_type) in self._heard:
            return
        said = (answer,) if isinstance(answer, str) else (answer.canonical_name, *answer.records)
        octets = len(name) + sum(map(len, said))
        if len(self._heard) >= MOST_ANSWERS or self._octets + octets > MOST_OCTETS:
            self.cut += 1
            return
        self._octets += octets
        self._heard[name, record_type] = Heard(name, record_type, answer)

    def with_earlier(self, earlier: "Answered") -> "Answered":
        """All of both."""
        both = Answered()
        for one in (*earlier._heard.values(), *self._heard.values()):
            both.note(one.name, one.record_type, one.answer)
        both.cut += earlier.cut + self.cut
        return both

    @property
    def heard(self) -> tuple[Heard, ...]:
        return tuple(self._heard.values())


_current: ContextVar[Answered | None] = ContextVar("answered", default=None)


@contextmanager
def noting(answered: Answered) -> Iterator[None]:
    """What is asked inside, and by the tasks that are begun inside, is noted there."""
    token = _current.set(answered)
    try:
        yield
    finally:
        _current.reset(token)


def note(name: str, record_type: RecordType, answer: DnsAnswer | str) -> None:
    """Note an answer, where it is for a message."""
    answered = _current.get()
    if answered is not None:
        answered.note(name, record_type, answer)
