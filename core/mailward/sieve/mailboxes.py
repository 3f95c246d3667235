"""Which mailboxes are there? (RFC 5490, RFC 8579, RFC 9042) And is this the name of one?"""

from mailward.formats.mailbox_names import problem_of_name
from mailward.sieve.arguments import Shape, Takes
from mailward.sieve.matching import MATCHING, check_matching, matches
from mailward.sieve.running import Checking, Run, Step, Test
from mailward.sieve.text import Text, is_utf8

_MAILBOX = Takes("mailbox", Shape.STRING)
_KEYS = Takes("key list", Shape.STRINGS)


def problem_of_mailbox(name: str) -> str:
    """Why this is no name of a mailbox (RFC 9051 section 5.1); "" where it is one. Whether it exists is not asked."""
    if not is_utf8(name):
        return f"invalid folder name {name[:40]!r}: a mailbox name is text in UTF-8"
    problem = problem_of_name(name)
    return f"invalid folder name {name[:40]!r}: {problem[0].lower()}{problem[1:]}" if problem else ""


def check_mailbox(checking: Checking, name: Text) -> None:
    if name.constant is not None and (problem := problem_of_mailbox(name.constant)):
        checking.problem(name.place, problem)


def check_use(checking: Checking, use: Text) -> None:
    if use.constant is not None and not is_use(use.constant):
        checking.problem(use.place, f"{use.constant[:40]!r} is no special use; it is written as '\\\\Junk'")


def is_use(use: str) -> bool:
    """Whether this can be a special use (RFC 6154 section 2): a backslash and a word."""
    return use[:1] == "\\" and use[1:].isascii() and use[1:].isalnum()


def _exists(run: Run, step: Step) -> bool:
    return all(run.outside.mailbox_exists(name) for name in run.texts(step.strings(0)))


def _has_uses(run: Run, step: Step) -> bool:
    uses = run.texts(step.strings(len(step.values) - 1))
    if len(step.values) == 1:
        return all(run.outside.mailbox_with_use(use) is not None for use in uses)
    mailbox = run.text(step.string(0))
    if not run.outside.mailbox_exists(mailbox):
        return False
    return {use.lower() for use in uses} <= {use.lower() for use in run.outside.uses_of(mailbox)}


def _check_uses(checking: Checking, step: Step) -> None:
    for use in step.strings(len(step.values) - 1):
        check_use(checking, use)


def _has_ids(run: Run, step: Step) -> bool:
    return all(run.outside.mailbox_with_id(one) is not None for one in run.texts(step.strings(0)))


def _metadata(run: Run, step: Step) -> bool:
    """RFC 5490 sections 3.3 and 3.5: of a mailbox, or of the server."""
    mailbox = run.text(step.string(0)) if len(step.values) == 3 else None
    value = run.outside.metadata(mailbox, run.text(step.string(len(step.values) - 2)))
    return value is not None and matches(run, step, (value,), step.strings(len(step.values) - 1))


def _metadata_exists(run: Run, step: Step) -> bool:
    mailbox = run.text(step.string(0)) if len(step.values) == 2 else None
    names = run.texts(step.strings(len(step.values) - 1))
    return all(run.outside.metadata(mailbox, name) is not None for name in names)


_NAMES = Takes("annotation names", Shape.STRINGS)
_NAME = Takes("annotation name", Shape.STRING)
TESTS = (
    Test("mailboxexists", (Takes("mailbox names", Shape.STRINGS),), extension="mailbox", holds=_exists),
    Test(
        "specialuse_exists",
        (_MAILBOX, Takes("special uses", Shape.STRINGS)),
        extension="special-use",
        optional=1,
        check=_check_uses,
        holds=_has_uses,
    ),
    Test("mailboxidexists", (Takes("mailbox ids", Shape.STRINGS),), extension="mailboxid", holds=_has_ids),
    Test("metadata", (_MAILBOX, _NAME, _KEYS), MATCHING, "mboxmetadata", check=check_matching, holds=_metadata),
    Test("metadataexists", (_MAILBOX, _NAMES), extension="mboxmetadata", holds=_metadata_exists),
    Test("servermetadata", (_NAME, _KEYS), MATCHING, "servermetadata", check=check_matching, holds=_metadata),
    Test("servermetadataexists", (_NAMES,), extension="servermetadata", holds=_metadata_exists),
)
