"""Which words does our Sieve have, and which extensions may a script require?"""

from collections.abc import Set
from dataclasses import replace
from typing import TypeVar

from mailward.sieve import (
    body,
    control,
    dates,
    disposing,
    editheader,
    flags,
    header_tests,
    include,
    lists,
    mailboxes,
    mime,
    notify,
    rewriting,
    surroundings,
    vacation,
    variables,
)
from mailward.sieve.comparing import COMPARATORS
from mailward.sieve.running import Command, Language, Test

W = TypeVar("W", Command, Test)

_NAMED = frozenset({"encoded-character", *(f"comparator-{name}" for name in COMPARATORS)})
"""What may be required and has no word of its own."""


_OF_DELIVERY = frozenset({"reject", "ereject", "vacation", "vacation-seconds", "envelope"})
"""What answers whoever sent the message, or asks of its envelope: at other times than delivery there is nobody to answer, and no
envelope (RFC 6785 sections 3.11 and 4.6)."""
_NOTED_AT_DELIVERY = frozenset({"spamtest", "spamtestplus", "virustest", "duplicate", "fcc"})
"""What asks for judgements and memories that are not kept beside stored mail, and what stores a copy of a reply."""


def _language(without: Set[str] = frozenset(), also: Set[str] = frozenset()) -> Language:
    commands = (
        *control.COMMANDS,
        *disposing.COMMANDS,
        *variables.COMMANDS,
        *flags.COMMANDS,
        *vacation.COMMANDS,
        *notify.COMMANDS,
        *include.COMMANDS,
        *editheader.COMMANDS,
        *mime.COMMANDS,
        *rewriting.COMMANDS,
    )
    tests = (
        *control.TESTS,
        *header_tests.TESTS,
        *body.TESTS,
        *dates.TESTS,
        *variables.TESTS,
        *flags.TESTS,
        *mailboxes.TESTS,
        *notify.TESTS,
        *surroundings.TESTS,
        *include.TESTS,
        *lists.TESTS,
    )
    words = (*commands, *tests)
    extensions = {word.extension for word in words} | {tag.extension for word in words for tag in word.tags}
    return Language(
        commands={word.name: word for word in _but(commands, without)},
        tests={word.name: word for word in _but(tests, without)},
        extensions=frozenset(extensions - without - {""}) | _NAMED | also,
        namespaces={"global": "include"},
    )


def _but(words: tuple[W, ...], without: Set[str]) -> tuple[W, ...]:
    """The words, and their tags, of all other extensions."""
    return tuple(
        replace(word, tags=tuple(tag for tag in word.tags if tag.extension not in without))
        for word in words
        if word.extension not in without
    )


LANGUAGE = _language()
"""Of scripts that mail meets at delivery."""
IMAP_LANGUAGE = _language(_OF_DELIVERY | _NOTED_AT_DELIVERY, frozenset({"imapsieve"}))
"""Of a script that IMAP commands meet (RFC 6785)."""
