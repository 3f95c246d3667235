"""YAML text becomes nodes that remember file, line and column; mistakes become Problems, all of them at once.

The scalars are those of the YAML 1.2 core schema, so `no`, `12:30:45` and `0777` are never a bool, a time or an octal number.
Tags, merge keys, duplicate keys, long chains of aliases and deep nesting are refused: a policy needs none of them, and they are
how a small file becomes a large one or an object (T-PLUG-08). What the keys mean is left to `schema`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import yaml

from mailward.model.errors import Problem

MAX_OCTETS = 1024 * 1024
MAX_DEPTH = 20
MAX_NODES = 100_000
MAX_ALIASES = 100

Scalar = str | int | float | bool | None

_QUOTE_CONDITION = "Put the whole condition into single quotes: when: '...'"
_NULL = re.compile(r"null|Null|NULL|~|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MAX_DIGITS = 18
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_WHEN = re.compile(r"(^|[\s{,])when\s*:")


@dataclass(eq=False, slots=True)
class Node:
    """One value of a file. value: a scalar, `dict[str, Node]` or `list[Node]`.

    file, line, column: where it begins, counted from 1. cut: a plain scalar that a ` #` ended.
    """

    value: "Scalar | dict[str, Node] | list[Node]"
    file: str
    line: int
    column: int
    cut: bool = False
    weight: int = 1
    key_marks: dict[str, str] = field(default_factory=dict)

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    @property
    def mapping(self) -> "dict[str, Node]":
        """Its members; empty when it is no mapping."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> "list[Node]":
        """Its items; empty when it is no sequence."""
        return self.value if isinstance(self.value, list) else []

    def plain(self) -> object:
        """The value without marks: dicts, tuples and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return tuple(node.plain() for node in self.value)
        return self.value

    def where_of(self, path: Sequence[str | int]) -> str:
        """The place of what `path` names, or of the last thing on the way that exists. A mapping's key stands for its member."""
        node, place = self, self.where
        for step in path:
            if isinstance(node.value, dict) and isinstance(step, str) and step in node.value:
                place, node = node.key_marks.get(step, node.value[step].where), node.value[step]
            elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                place = node.where
            else:
                break
        return place

    def at(self, *path: str | int) -> "Node | None":
        """The node at `path`, None when there is none."""
        node: Node | None = self
        for step in path:
            if node is None:
                return None
            if isinstance(step, str):
                node = node.mapping.get(step)
            else:
                node = node.items[step] if step < len(node.items) else None
        return node


def parse(octets: bytes, file: str) -> tuple[Node | None, list[Problem]]:
    """The root node and what is wrong. The root is None when nothing can be said about the content. `file` is only shown."""
    if len(octets) > MAX_OCTETS:
        return None, [Problem(f"{file}:1:1", "", f"the file has {len(octets)} octets; at most {MAX_OCTETS} are read")]
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        column = error.start - octets.rfind(b"\n", 0, error.start)
        return None, [
            Problem(
                f"{file}:{line}:{column}", "", f"the octet 0x{octets[error.start]:02x} is not UTF-8", "Save the file as UTF-8."
            )
        ]
    if control := _CONTROL.search(text):
        line, column = _line_and_column(text, control.start())
        return None, [Problem(f"{file}:{line}:{column}", "", f"the control character U+{ord(control[0]):04X} is not allowed")]
    composer = _Composer(text, file)
    try:
        root = composer.compose(yaml.parse(text, Loader=yaml.CLoader))
    except yaml.MarkedYAMLError as error:
        composer.problems.append(_syntax_problem(error, text, file))
        root = None
    except yaml.YAMLError as error:
        composer.problems.append(Problem(f"{file}:1:1", "", f"this is not YAML: {error}"))
        root = None
    return root, composer.problems


class _Composer:
    """Builds nodes from parser events without recursion, so that nesting is bounded by us and not by a C stack."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.lines = text.splitlines()
        self.problems: list[Problem] = []
        self.anchors: dict[str, Node | None] = {}
        self.aliases = 0

    def compose(self, events: Iterator[yaml.Event]) -> Node | None:
        root: Node | None = None
        open_nodes: list[tuple[Node, str | None]] = []
        keys: list[tuple[str, str] | None] = []
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents == 2:
                    self._problem(event, "a second document begins here; a policy is one document")
                    return root
            elif isinstance(event, yaml.CollectionStartEvent):
                if len(open_nodes) >= MAX_DEPTH:
                    self._problem(event, f"nested deeper than {MAX_DEPTH} levels")
                    return None
                self._check_tag(event)
                kind: dict[str, Node] | list[Node] = {} if isinstance(event, yaml.MappingStartEvent) else []
                open_nodes.append((self._node(kind, event), event.anchor))
                keys.append(None)
                if event.anchor is not None:
                    self.anchors[event.anchor] = None
            elif isinstance(event, (yaml.ScalarEvent, yaml.AliasEvent, yaml.CollectionEndEvent)):
                if isinstance(event, yaml.CollectionEndEvent):
                    node, anchor = open_nodes.pop()
                    keys.pop()
                    if anchor is not None:
                        self.anchors[anchor] = node
                elif isinstance(event, yaml.AliasEvent):
                    node = self._alias(event)
                else:
                    node = self._scalar(event)
                if not open_nodes:
                    root = node
                elif not self._attach(open_nodes[-1][0], keys, node, event):
                    return None
        return root

    def _attach(self, parent: Node, keys: list[tuple[str, str] | None], node: Node, event: yaml.Event) -> bool:
        """Put a finished node into its parent, as key, member or item. False when the file grows too large."""
        parent.weight += node.weight
        if parent.weight > MAX_NODES or self.aliases > MAX_ALIASES:
            self._problem(event, f"more than {MAX_NODES} values or {MAX_ALIASES} aliases; write it out in fewer")
            return False
        if isinstance(parent.value, list):
            parent.value.append(node)
        elif isinstance(parent.value, dict):
            pending = keys[-1]
            if pending is None:
                keys[-1] = (self._key(node, event), node.where)
            else:
                keys[-1] = None
                self._member(parent, parent.value, pending, node)
        return True

    def _key(self, node: Node, event: yaml.Event) -> str:
        if isinstance(node.value, (dict, list)):
            self.problems.append(Problem(node.where, "", "a key must be one word of text"))
            return ""
        return event.value if isinstance(event, yaml.ScalarEvent) else str(node.value)

    def _member(self, parent: Node, members: dict[str, Node], key: tuple[str, str], node: Node) -> None:
        name, where = key
        if name == "<<":
            self.problems.append(Problem(where, "", "merge keys (<<) are not used in policies", "Write the keys out."))
        elif name in members:
            self.problems.append(
                Problem(
                    where,
                    "",
                    f"the key '{name}' is here twice",
                    f"The first one is at {parent.key_marks[name]}; keep one of them.",
                )
            )
        else:
            members[name] = node
            parent.key_marks[name] = where

    def _alias(self, event: yaml.AliasEvent) -> Node:
        self.aliases += 1
        target = self.anchors.get(event.anchor or "")
        if target is not None:
            return target
        problem = "contains itself" if event.anchor in self.anchors else "has no anchor above it"
        self._problem(event, f"the alias *{event.anchor} {problem}", self._condition_hint(event))
        return self._node(None, event)

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        self._check_tag(event)
        plain = event.implicit[0] and event.style in (None, "")
        node = self._node(scalar(event.value) if plain else event.value, event)
        node.cut = plain and self._comment_follows(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def _comment_follows(self, event: yaml.ScalarEvent) -> bool:
        end = event.end_mark
        return end is not None and end.line < len(self.lines) and bool(re.match(r"\s+#", self.lines[end.line][end.column :]))

    def _check_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag is not None and event.tag != "!":
            shown = event.tag.replace("tag:yaml.org,2002:", "!!")
            hint = self._condition_hint(event) or "Quote the value if it should begin with '!'."
            self._problem(event, f"'{shown}' is a YAML tag, and tags are not used in policies", hint)

    def _condition_hint(self, event: yaml.Event) -> str:
        line, column = _place(event)
        return _QUOTE_CONDITION if line <= len(self.lines) and _WHEN.search(self.lines[line - 1][: column - 1]) else ""

    def _problem(self, event: yaml.Event, text: str, hint: str = "") -> None:
        line, column = _place(event)
        self.problems.append(Problem(f"{self.file}:{line}:{column}", "", text, hint))

    def _node(self, value: "Scalar | dict[str, Node] | list[Node]", event: yaml.Event) -> Node:
        return Node(value, self.file, *_place(event))


def _place(event: yaml.Event) -> tuple[int, int]:
    """Line and column, counted from 1."""
    mark = event.start_mark
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)


def scalar(text: str) -> Scalar:
    """A plain scalar by the YAML 1.2 core schema (section 10.3.2)."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if len(text) <= _MAX_DIGITS:
        if _INT.fullmatch(text):
            return int(text)
        if _OCTAL.fullmatch(text):
            return int(text[2:], 8)
        if _HEX.fullmatch(text):
            return int(text[2:], 16)
        if _FLOAT.fullmatch(text):
            return float(text.replace(".", "") if text[-1].isalpha() else text)
    return text


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line_number, column = (0, 0) if mark is None else (mark.line, mark.column)
    lines = text.splitlines() or [""]
    line = lines[min(line_number, len(lines) - 1)]
    hint = ""
    if _WHEN.search(line[:column]):
        hint = _QUOTE_CONDITION
    elif "\t" in line[: column + 1]:
        hint = "Indent with spaces: YAML does not allow tabs there."
    elif error.problem == "mapping values are not allowed in this context":
        hint = "Quote the value if the colon belongs to it."
    return Problem(f"{file}:{line_number + 1}:{column + 1}", "", f"this is not YAML: {error.problem or error.context}", hint)


def _line_and_column(text: str, index: int) -> tuple[int, int]:
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)
