"""In which order does SORT want messages? (RFC 5256 section 3, RFC 5957)"""

from dataclasses import dataclass
from typing import Literal, get_args

from mailward.protocol.imap.arguments import Arguments, BadSyntax

MAX_CRITERIA = 20

SortKey = Literal["ARRIVAL", "CC", "DATE", "FROM", "SIZE", "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO"]
_KEYS: dict[str, SortKey] = {key: key for key in get_args(SortKey)}


@dataclass(frozen=True, slots=True)
class Criterion:
    """One key, the greatest first when it is reversed."""

    key: SortKey
    reverse: bool = False


def read_criteria(arguments: Arguments) -> tuple[Criterion, ...]:
    """`(SUBJECT REVERSE DATE) `, with the blank. Raises BadSyntax."""

    def criterion() -> Criterion:
        word = arguments.atom()
        reverse = word == "REVERSE"
        if reverse:
            arguments.space()
            word = arguments.atom()
        if word not in _KEYS:
            raise BadSyntax("There is no such sort key")
        return Criterion(_KEYS[word], reverse)

    found = arguments.parenthesised(criterion)
    if len(found) > MAX_CRITERIA:
        raise BadSyntax("Too many sort keys")
    arguments.space()
    return tuple(found)
