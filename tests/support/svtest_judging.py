"""How a test file of Pigeonhole wants its message judged: by a header field that its settings name.

Our judgements come from filters, so what the field says is handed to the engine as a filter's would be. Settings begin with
`sieve_spamtest_` or `sieve_virustest_`; of both the same are there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mailward.formats.message import MessageView

_NUMBER = re.compile(r"-?[0-9]*\.?[0-9]+")


@dataclass(frozen=True)
class _Settings:
    """Of one of the two. texts: how many values may be told by their text."""

    config: Mapping[str, str]
    prefix: str
    texts: int

    def share(self, message: MessageView) -> float | int | None:
        """From 0.0 to 1.0 by a score, or the number of the text that stands there; None where the message was not looked at."""
        status = self._read(message, "status_header")
        if status is None:
            return None
        if self.config.get(f"{self.prefix}status_type") == "text":
            texts = {self.config.get(f"{self.prefix}text_value/{number}"): number for number in range(self.texts + 1)}
            return texts.get(status)
        most = self.config.get(f"{self.prefix}score_max_value") or self._read(message, "score_max_header") or ""
        score = len(status) if self.config.get(f"{self.prefix}status_type") == "strlen" else _number(status)
        highest = _number(most)
        return None if score is None or not highest else min(1.0, max(0.0, score / highest))

    def _read(self, message: MessageView, name: str) -> str | None:
        """A setting has the name of a field, and behind a colon the expression whose first group is meant."""
        field_name, _, expression = self.config.get(f"{self.prefix}{name}", "").partition(":")
        field = message.field(field_name.strip()) if field_name else None
        if field is None:
            return None
        if not expression:
            return field.text
        found = re.search(expression.strip(), field.text)
        return found and (found[1] if found.re.groups else found[0])


def _number(text: str) -> float | None:
    found = _NUMBER.match(text)
    return float(found[0]) if found else None


def spam_percent(config: Mapping[str, str], message: MessageView) -> float | None:
    """As `World.spam_percent`."""
    share = _Settings(config, "sieve_spamtest_", 10).share(message)
    if isinstance(share, int):  # RFC 5235 section 2.1: 0 for mail that was not looked at, 1 to 10
        return (share - 1) * 100 / 9 if share else None
    return None if share is None else 100 * share


def virus(config: Mapping[str, str], message: MessageView) -> int:
    """As `World.virus`."""
    share = _Settings(config, "sieve_virustest_", 5).share(message)
    if isinstance(share, int):
        return share
    return 0 if share is None else 1 + int(share * 4)
