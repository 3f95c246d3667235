"""Retro-actions beside a running server: which copies a condition means, and all that is needed to do something to them."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from functools import cache

from mailward.app.accounts import store_of
from mailward.app.config import Config
from mailward.app.copies import whereabouts
from mailward.app.quarantine import Teacher, opened_quarantine, opened_release
from mailward.decisions import DecisionStore
from mailward.decisions.retro import Deed, RetroLog
from mailward.delivery.retro import RetroActions, Target
from mailward.directory import Directory
from mailward.disk import Disk
from mailward.model.decision import DecisionRecord, RecipientDecision
from mailward.model.evidence import FactValue
from mailward.pipeline.facts import content_facts
from mailward.policy.match import ConditionFailed
from mailward.policy.where import Where
from mailward.quarantine import Quarantine
from mailward.services.clock import SystemClock
from mailward.store.changes import Hints


@contextmanager
def opened_log(config: Config) -> Iterator[RetroLog]:
    """To look into it."""
    with closing(RetroLog(config.retro_file)) as log:
        yield log


class Busy(Exception):
    """Somebody else is at it."""


@dataclass(frozen=True, slots=True)
class Retros:
    """All of it, opened."""

    log: RetroLog
    actions: RetroActions
    quarantine: Quarantine
    decisions: DecisionStore
    directory: Directory
    teacher: Teacher


@contextmanager
def alone(config: Config) -> Iterator[None]:
    """One at a time does something. Raises Busy."""
    disk = Disk()
    fd = disk.open_append(config.data / "retro.lock")
    try:
        if not disk.lock(fd):
            raise Busy
        yield
    finally:
        disk.close(fd)


@asynccontextmanager
async def opened_retros(config: Config) -> AsyncIterator[Retros]:
    """For commands beside a running server, whose clients hear of what changes."""
    async with contextlib.AsyncExitStack() as stack:
        quarantine = stack.enter_context(opened_quarantine(config))
        release = await stack.enter_async_context(opened_release(config, quarantine))
        hints = stack.enter_context(closing(Hints(config.data / "hints")))
        directory = stack.enter_context(closing(Directory(config.directory_file)))
        store = stack.enter_context(closing(store_of(config, directory, hints)))
        decisions = stack.enter_context(closing(DecisionStore(config.decisions_file)))
        log = stack.enter_context(opened_log(config))
        teacher = Teacher(config)
        stack.push_async_callback(teacher.close)
        actions = RetroActions(log, quarantine, store, release, decisions, SystemClock(), teacher.released)
        yield Retros(log, actions, quarantine, decisions, directory, teacher)


@dataclass(frozen=True, slots=True)
class Match:
    """A copy to which something can be done. subject: of the copy as it is."""

    target: Target
    record: DecisionRecord
    subject: str


@dataclass(slots=True)
class Found:
    """What a condition means. messages: that were looked at. holds: for so many recipients.

    matches: the newest first. without: recipients of whom there is nothing to do it to, by the reason. unknown: recipients of
    whom it is not known whether the condition holds, by the reason.
    """

    messages: int = 0
    holds: int = 0
    matches: list[Match] = field(default_factory=list)
    without: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)


def search(retros: Retros, records: Iterable[DecisionRecord], where: Where, deed: Deed) -> Found:
    """Look through these records, of one direction, for mail that was taken.

    What a record never holds since somebody wrote it, such as the subject, is read in the copy.
    """
    found = Found()
    seen: set[tuple[str, str]] = set()  # accounts and keys, where two addresses lead to one mailbox
    for record in records:
        found.messages += 1
        if not record.reply.startswith("2"):
            continue
        for decision in record.recipients:
            for target in _look(retros, found, where, deed, record, decision):
                if (place := (target.account, target.delivery_key)) not in seen:
                    seen.add(place)
                    found.matches.append(Match(target, record, retros.actions.header(target).subject))
    return found


def _look(
    retros: Retros, found: Found, where: Where, deed: Deed, record: DecisionRecord, decision: RecipientDecision
) -> Sequence[Target]:
    """At one recipient: its copies where the condition holds. What else there is to say of it is counted in `found`."""
    copies = cache(lambda: _copies(retros, record, decision, deed))

    def content() -> Mapping[str, FactValue]:
        targets, why = copies()
        if not targets:
            raise ConditionFailed(f"{why}, and only a copy could say")
        return content_facts(retros.actions.header(targets[0]))

    try:
        if not where.holds(record, decision, content):
            return ()
    except ConditionFailed as error:
        found.unknown[str(error)] += 1
        return ()
    found.holds += 1
    targets, why = copies()
    if not targets:
        found.without[why] += 1
    return targets


def _copies(retros: Retros, record: DecisionRecord, decision: RecipientDecision, deed: Deed) -> tuple[Sequence[Target], str]:
    """Of one recipient, and why there are none."""
    asked = decision.recipient
    kept = retros.actions.in_quarantine(record, asked)
    if deed == "release":
        return kept, "not in quarantine"
    ways = whereabouts(record, asked, retros.directory, retros.decisions, retros.quarantine)
    looked = [retros.actions.in_mailboxes(record, asked, one.recipient, one.account, one.delivery_key) for one in ways]
    targets = [target for copies in looked for target in copies or ()]
    if kept:
        return targets, "in quarantine already"
    if not ways:
        return targets, "nobody's mailbox here"
    return targets, "deleted by its owner" if any(copies is not None for copies in looked) else "no copy was stored here"
