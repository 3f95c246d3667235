"""What have plugins found of the forward-paths of one transaction? A bounded number of things."""

from collections.abc import Iterable

from msgspec import structs

from mailward.model.address import ForwardPath
from mailward.pipeline.called import Called, Calls, about

MOST_RCPT_FINDINGS = 1000
"""Of all forward-paths of one transaction; a call that brings more has failed, so that nothing found is ever passed over."""


class AtRcpt:
    """The calls of `inspect_rcpt`, by forward-path."""

    def __init__(self) -> None:
        self._found: dict[ForwardPath, tuple[Called[object], ...]] = {}

    def __contains__(self, path: ForwardPath) -> bool:
        return path in self._found

    def add(self, path: ForwardPath, calls: Calls) -> None:
        """What was found of one that was not looked at before."""
        left = MOST_RCPT_FINDINGS - sum(len(called.findings) for found in self._found.values() for called in found)
        within = [called if len(called.findings) <= left else _too_many(called) for called in calls]
        self._found[path] = about(path, within)

    def of(self, paths: Iterable[ForwardPath]) -> tuple[Called[object], ...]:
        """Of these. Of calls that found nothing one of each plugin says so."""
        kept: list[Called[object]] = []
        named: set[str] = set()
        for called in (called for path in paths for called in self._found.get(path, ())):
            if called.findings or called.failed or called.call.plugin not in named:
                kept.append(called)
                named.add(called.call.plugin)
        return tuple(kept)


def _too_many(called: Called[object]) -> Called[object]:
    error = f"with it there would be more than {MOST_RCPT_FINDINGS} findings about the recipients of one message"
    return Called(structs.replace(called.call, status="failed", error=error, findings=()))
