"""Which words does our Sieve have, and which extensions may a script require?"""

from mailward.sieve import (
    body,
    control,
    dates,
    disposing,
    editheader,
    flags,
    header_tests,
    include,
    mailboxes,
    mime,
    notify,
    rewriting,
    surroundings,
    vacation,
    variables,
)
from mailward.sieve.comparing import COMPARATORS
from mailward.sieve.running import Language

_NAMED = frozenset({"encoded-character", *(f"comparator-{name}" for name in COMPARATORS)})
"""What may be required and has no word of its own."""


def _language() -> Language:
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
    )
    words = (*commands, *tests)
    extensions = {word.extension for word in words} | {tag.extension for word in words for tag in word.tags}
    return Language(
        commands={word.name: word for word in commands},
        tests={word.name: word for word in tests},
        extensions=frozenset(extensions - {""}) | _NAMED,
        namespaces={"global": "include"},
    )


LANGUAGE = _language()
