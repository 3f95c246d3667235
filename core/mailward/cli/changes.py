"""Changes of what recipients would get, as `policy shadow` and `policy replay` print them."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from typing import Any, Protocol, TypeVar

from mailward.app.config import Config
from mailward.app.filters import load_filters
from mailward.cli.output import progress, table
from mailward.decisions.changes import Change, Tally, Worst
from mailward.decisions.versions import PolicyVersions
from mailward.model.decision import DecisionRecord
from mailward.model.errors import ConfigError
from mailward.policy import Direction

NOTHING, SOMETHING, NOT_KNOWN = 0, 1, 2
"""Exit codes: nothing would have changed, something would, it cannot be said."""


class _OfRecord(Protocol):
    @property
    def record(self) -> DecisionRecord: ...


_Example = TypeVar("_Example", bound=_OfRecord)


def read_all(records: Iterable[DecisionRecord], total: int, step: int = 1000) -> Iterator[DecisionRecord]:
    """All of these records, while a person is told how many of the total have been read. step: after so many of them."""
    for number, record in enumerate(records):
        if number % step == 0:
            progress(number, total)
        yield record
    progress(total, total)


def tally_lines(tally: Tally) -> list[str]:
    """A line a change, the worst first, then what stays and what is not known."""
    rows = [(f"  {_change_words(change)}", number_of("recipient", n)) for change, n in tally.worst_first]
    rows.append(("  unchanged", number_of("recipient", tally.same)))
    return [table(rows), *(f"  not known of {number_of('message', n)}: {why}" for why, n in tally.unknown.most_common())]


def worst_lines(worst: Worst[_Example], changed: int, lines: Callable[[_Example], list[str]]) -> list[str]:
    """The end of a report: examples, and how to look into one. changed: recipients. lines: of one example."""
    examples = worst.shown
    if not examples:
        return []
    some = f"{len(examples):,} of " if changed > len(examples) else ""
    return [
        "",
        f"the worst first, {some}{number_of('recipient', changed)}{'; --limit shows more' if some else ''}:",
        *(line for example in examples for line in lines(example)),
        "",
        f"Why one was treated as it was: mailward explain {examples[0].record.id}",
    ]


def number_of(what: str, number: int, several: str = "") -> str:
    """ "1 message", "1,204 messages". several: when it is not one, by default with an s."""
    return f"{number:,} {what if number == 1 else several or f'{what}s'}"


def _change_words(change: Change) -> str:
    if change.was == change.now:
        return f"{change.was}, marked or filed otherwise"
    return f"{change.was} -> {change.now}"


def tally_data(tally: Tally) -> dict[str, Any]:
    """The same for JSON."""
    return {
        "messages": tally.messages,
        "changes": [{"was": change.was, "would_be": change.now, "recipients": n} for change, n in tally.worst_first],
        "recipients_unchanged": tally.same,
        "messages_not_known": dict(tally.unknown),
    }


def file_hash(config: Config, direction: Direction) -> str:
    """Of the policy as its file is now, "" when it cannot be used: `policy check` says why."""
    with suppress(ConfigError):
        return load_filters(config).policies[direction].hash
    return ""


def hash_in_force(config: Config, direction: Direction) -> str:
    """Of the policy that the server has loaded last, "" when none has yet."""
    with closing(PolicyVersions(config.versions_file)) as versions:
        return next((one.hash for one in versions.of(direction)), "")
