"""What must be so for a condition to be true? Found in its words, so that most conditions need not be evaluated.

`a && b` is false where `a` is, whatever `b` comes to or fails with (CEL specification, "Logical Operators").
"""

from collections.abc import Sequence

from mailward.model.evidence import FactValue
from mailward.policy.facts import Vocabulary
from mailward.policy.tokens import Token

Needs = tuple[tuple[str, FactValue], ...]
"""Facts and the values they must have."""


def needs_of(tokens: Sequence[Token], vocabulary: Vocabulary) -> Needs:
    """Of `a == "x" && b && !c && (...)` the comparisons of one fact with one text, true or false; () where `||` or `?` joins."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token.text in ("(", "[")) - (token.text in (")", "]"))
        if depth == 0 and token.kind == "sign" and token.text in ("||", "?"):
            return ()
        if depth == 0 and token.kind == "sign" and token.text == "&&":
            parts.append([])
        else:
            parts[-1].append(token)
    return tuple(need for part in parts if (need := _need(part, vocabulary)) is not None)


def _need(part: Sequence[Token], vocabulary: Vocabulary) -> tuple[str, FactValue] | None:
    wanted: FactValue = True
    if part and part[0].text == "!":
        part, wanted = part[1:], False
    elif len(part) > 2 and part[-2].text == "==":
        literal = part[-1].text
        if part[-1].kind == "text" and literal[0] in "\"'" and "\\" not in literal and literal[:3] not in ('"""', "'''"):
            part, wanted = part[:-2], literal[1:-1]
        elif literal in ("true", "false"):
            part, wanted = part[:-2], literal == "true"
    name = "".join(token.text for token in part)
    spec = vocabulary.facts.get(name) if all(token.kind == "name" or token.text == "." for token in part) else None
    return None if spec is None or type(spec.default) is not type(wanted) else (name, wanted)
