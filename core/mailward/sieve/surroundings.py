"""What is known beside the message? environment (RFC 5183), spam (RFC 5235), duplicates (RFC 7352)."""

import hashlib
from collections.abc import Iterator

from mailward.sieve.arguments import Shape, TagRule, Takes
from mailward.sieve.matching import MATCHING, check_matching, matches
from mailward.sieve.running import Checking, Mark, Run, Step, Test

_KEYS = Takes("key list", Shape.STRINGS)
_VALUE = Takes("value", Shape.STRING)
_ROUNDING = 1e-6
"""What floating point may have left off: a third of all is three ninths."""
_PERIOD_S = 7 * 24 * 3600
_MOST_PERIOD_S = 30 * 24 * 3600


def _environment(run: Run, step: Step) -> bool:
    """An item that is not known matches nothing (RFC 5183 section 4)."""
    value = run.world.environment.get(run.text(step.string(0)).lower())
    return value is not None and matches(run, step, (value,), step.strings(1))


def _spamtest(run: Run, step: Step) -> bool:
    """RFC 5235 section 2.1: 0 for mail that was not looked at, 1 where it is clear of spam to 10 where it surely is, and nothing
    less has 10; or 0 to 100 with :percent."""
    percent = run.world.spam_percent
    if "percent" in step.tags:
        value = 0 if percent is None else round(percent)
    else:
        value = 0 if percent is None else 1 + int(percent * 9 / 100 + _ROUNDING)
    return matches(run, step, (str(value),), step.strings(0))


def _virustest(run: Run, step: Step) -> bool:
    return matches(run, step, (str(run.world.virus),), step.strings(0))


def _duplicate(run: Run, step: Step) -> bool:
    """What was seen is remembered by those who carry the actions out, once they have; within one run nothing is a duplicate."""
    use = step.tags.get("id")
    if use is not None and use.name == "uniqueid":
        unique = run.text(use.strings[0])
    else:
        field = run.received.field(run.text(use.strings[0]) if use else "Message-ID")
        unique = field.value.decode("utf-8", "replace") if field else ""
    if not unique:
        return False
    handle = run.text(step.tags["handle"].strings[0]) if "handle" in step.tags else ""
    key = hashlib.sha256(f"{handle}\0{unique}".encode("utf-8", "surrogateescape")).hexdigest()
    period_s = min(step.tags["seconds"].number, _MOST_PERIOD_S) if "seconds" in step.tags else _PERIOD_S
    is_known = run.outside.is_marked(key)
    if not is_known or "last" in step.tags:
        run.mark(Mark(key, period_s))
    return is_known


def _check_duplicate(checking: Checking, step: Step) -> None:
    use = step.tags.get("id")
    if use is not None and use.name == "header" and (name := use.strings[0].constant) is not None and not name.isascii():
        checking.problem(use.place, f"{name[:40]!r} is no name of a header field")


def _values() -> Iterator[Test]:
    yield Test(
        "environment", (Takes("item", Shape.STRING), _KEYS), MATCHING, "environment", check=check_matching, holds=_environment
    )
    percent = TagRule("percent", extension="spamtestplus")
    yield Test("spamtest", (_VALUE,), (percent, *MATCHING), "spamtest", check=check_matching, holds=_spamtest)
    yield Test("virustest", (_VALUE,), MATCHING, "virustest", check=check_matching, holds=_virustest)
    yield Test(
        "duplicate",
        (),
        (
            TagRule("handle", takes=Shape.STRING),
            TagRule("header", "id", Shape.STRING),
            TagRule("uniqueid", "id", Shape.STRING),
            TagRule("seconds", takes=Shape.NUMBER),
            TagRule("last"),
        ),
        "duplicate",
        check=_check_duplicate,
        holds=_duplicate,
    )


TESTS = tuple(_values())
