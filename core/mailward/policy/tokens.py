"""The words of a condition: CEL, as far as policies use it."""

import re
from dataclasses import dataclass

MAX_DEPTH = 50
MAX_NOTS = 20

_ONE = re.compile(
    r"""(?P<space>\s+)
      | (?P<comment>//)
      | (?P<text>[rR]?(?:\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
      | (?P<number>0x[0-9a-fA-F]+u?|(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?u?)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<sign>&&|\|\||==|!=|<=|>=|[<>!?:+\-*/%()\[\]{},.])""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class ConditionProblem:
    """What is wrong with a condition, and how to mend it."""

    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    start: int
    end: int

    @property
    def literal(self) -> str:
        """What a text says, without its quotes."""
        return self.text.lstrip("rR").strip("\"'")


def tokens_of(source: str) -> tuple[list[Token], ConditionProblem | None]:
    """All of them, or what cannot be one."""
    found: list[Token] = []
    position = depth = nots = 0
    while position < len(source):
        match = _ONE.match(source, position)
        if match is None:
            if source[position] in "\"'":
                return [], ConditionProblem(f"the quote at character {position + 1} is not closed")
            return [], ConditionProblem(f"'{source[position]}' at character {position + 1} has no meaning in a condition")
        kind, text = match.lastgroup or "", match[0]
        if kind == "comment":
            return [], ConditionProblem("comments are not used inside conditions", "Write the comment in YAML, behind ' #'.")
        if text in ("{", "}") and kind == "sign":
            return [], ConditionProblem("maps are not used in conditions")
        depth += (kind == "sign" and text in "([") - (kind == "sign" and text in ")]")
        nots += kind == "sign" and text == "!"
        if depth > MAX_DEPTH or nots > MAX_NOTS:
            return [], ConditionProblem(f"nested deeper than {MAX_DEPTH} brackets, or more than {MAX_NOTS} times '!'")
        if kind != "space":
            found.append(Token(kind, text, match.start(), match.end()))
        position = match.end()
    return found, None
