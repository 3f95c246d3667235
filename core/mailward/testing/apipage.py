"""What does `docs/reference/api.md` say? The page is made from what `mailward.api` exports, so that it cannot fall behind it.

python -m mailward.testing.apipage > docs/reference/api.md

Signatures are shown as they are written in the source, so that names of types stay names.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module

GROUPS: Mapping[str, tuple[str, ...]] = {
    "What a plugin declares and answers": (
        "API_VERSION", "hookimpl", "Plugin", "Settings", "Facts", "Symbol", "Capability", "Finding", "Findings", "Asked",
        "AuthResult",
    ),
    "What a plugin may use": (
        "Services", "KeyValue", "Resolver", "RecordType", "DnsAnswer", "DnsTemporaryError", "Http", "HttpAnswer", "HttpFailed",
        "Clock", "Log", "Memory", "RunBlocking", "Metrics", "Counter", "Gauge", "Histogram", "Secrets", "Submit", "Credentials",
    ),
    "Session, envelope and evidence": (
        "SessionView", "Role", "TlsFacts", "ReverseName", "ReverseResult", "EnvelopeView", "Address",
        "ReversePath", "ForwardPath", "Evidence",
    ),
    "The message": (
        "MessageView", "FieldView", "AddressList", "Mailbox", "PartView", "TextPart", "Link", "Readings", "Reading", "LineFacts",
        "Anomaly", "ANOMALIES", "MessageMoved", "MessageClassified",
    ),
    "Edits": ("Edit", "AddHeader", "RemoveHeader", "ReplaceHeader", "PrefixSubject", "ReplacePart", "PartEncoding"),
    "A copy before it is stored": ("Delivery", "Folder", "FolderChoice"),
    "Logins": ("LoginAttempt", "LoginProtocol", "Secret", "Identity", "FactorAnswer", "LoginOutcome"),
    "What leaves": (
        "Relaying", "Origin", "MailHost", "TlsRequirement", "TlsLevel", "TlsPolicy", "PolicyType", "Tlsa", "TlsSession",
        "TlsResult", "RelayingAttempt", "RelayOutcome", "UnsendableMessage",
    ),
    "Commands and DNS records": (
        "AccountCommand", "CommandCall", "ServerCommand", "ServerCall", "CommandGroup", "CommandOption", "CommandAnswer",
        "CommandFailed", "DnsRecord",
    ),
    "Helpers": ("alike", "normalise_domain", "normal_ip", "source_of", "PRIVATE_NETWORKS", "parse_duration"),
}  # fmt: skip
"""Everything exported, each name once, in the order of the page."""

_HEAD = """\
# What a plugin may import

This page is made from the source of everything that `mailward.api` exports; `python -m mailward.testing.apipage` writes it.
[Hooks](hooks.md) says which of these a hook is given and what it answers.

The values that hooks are given are frozen. What is `async def` here is awaited, so a hook that calls it is `async def` itself.
What stands under `@property` or `@kept` is read without parentheses; `@kept` is worked out once.

"""

Lines = tuple[str, ...]
Definition = ast.ClassDef | ast.FunctionDef | ast.Assign | ast.AnnAssign


@dataclass(frozen=True, slots=True)
class Exported:
    """One name as its source has it. text: its docstring, "" when there is none. lines: of the whole module."""

    definition: Definition
    text: str
    lines: Lines


def exported(name: str) -> Exported:
    """What stands behind a name of `mailward.api`; a second name of a class stands for that class. Raises KeyError."""
    return _found("mailward.api", name)


def page() -> str:
    """The whole page, as Markdown."""
    contents = "".join(f"- [{group}](#{_anchor(group)}): {', '.join(map(_link, names))}\n" for group, names in GROUPS.items())
    return _HEAD + contents + "".join(f"\n## {group}\n" + "".join(map(_section, names)) for group, names in GROUPS.items())


def _link(name: str) -> str:
    return f"[`{name}`](#{_anchor(name)})"


def _anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-").replace(",", "")


def _section(name: str) -> str:
    found = exported(name)
    text = "\n\n".join(" ".join(paragraph.split()) for paragraph in found.text.split("\n\n"))
    return f"\n### {name}\n\n```python\n{_shown(name, found)}\n```\n" + (f"\n{_escaped(text)}\n" if text else "")


def _escaped(text: str) -> str:
    """As Markdown that shows every sign: outside of `code`, "<" would begin a tag."""
    return "".join(part if n % 2 else part.replace("<", "&lt;") for n, part in enumerate(re.split("(`[^`]*`)", text)))


@cache
def _source(module: str) -> tuple[Lines, tuple[ast.stmt, ...]]:
    source = inspect.getsource(import_module(module))
    return tuple(source.splitlines()), tuple(ast.parse(source).body)


def _found(module: str, name: str) -> Exported:
    lines, statements = _source(module)
    for number, statement in enumerate(statements):
        if isinstance(statement, ast.ImportFrom) and statement.module and any(alias.name == name for alias in statement.names):
            return _found(statement.module, name)
        if isinstance(statement, (ast.ClassDef, ast.FunctionDef)) and statement.name == name and not _is_overload(statement):
            return Exported(statement, ast.get_docstring(statement) or "", lines)
        if isinstance(statement, (ast.Assign, ast.AnnAssign)) and name in _targets(statement):
            if isinstance(statement.value, ast.Name):
                return _found(module, statement.value.id)
            return Exported(statement, _text_below(statements[number + 1 : number + 2]), lines)
    raise KeyError(name)


def _is_overload(statement: ast.ClassDef | ast.FunctionDef) -> bool:
    return any(isinstance(decorator, ast.Name) and decorator.id == "overload" for decorator in statement.decorator_list)


def _targets(statement: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _text_below(statements: tuple[ast.stmt, ...]) -> str:
    """The text under an assignment that says what it is."""
    for statement in statements:
        match statement:
            case ast.Expr(ast.Constant(str(text))):
                return inspect.cleandoc(text)
    return ""


def _shown(name: str, found: Exported) -> str:
    definition = found.definition
    if isinstance(definition, ast.ClassDef):
        bases = f"({', '.join(map(ast.unparse, definition.bases))})" if definition.bases else ""
        return f"class {name}{bases}:\n" + ("\n".join(_members(found.lines, definition)) or "    ...")
    if isinstance(definition, ast.FunctionDef):
        return "\n".join(found.lines[definition.lineno - 1 : definition.body[0].lineno - 1])
    if isinstance(definition, ast.AnnAssign):
        return f"{name}: {ast.unparse(definition.annotation)}"
    return "\n".join(found.lines[definition.lineno - 1 : definition.end_lineno])


def _members(lines: Lines, definition: ast.ClassDef) -> Iterator[str]:
    """Fields, then properties and methods, each with its own docstring."""
    fields = [s for s in definition.body if isinstance(s, (ast.Assign, ast.AnnAssign)) and not _targets(s)[0].startswith("_")]
    for field in fields:
        yield from lines[field.lineno - 1 : field.end_lineno]
    methods = [s for s in definition.body if isinstance(s, (ast.FunctionDef, ast.AsyncFunctionDef)) and _is_public(s)]
    for number, method in enumerate(methods):
        if fields or number:
            yield ""
        yield from _method(lines, method)


def _is_public(method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """For plugins: they set nothing."""
    is_setter = any(isinstance(decorator, ast.Attribute) for decorator in method.decorator_list)
    return method.name == "__call__" or not (method.name.startswith("_") or is_setter)


def _method(lines: Lines, method: ast.FunctionDef | ast.AsyncFunctionDef) -> Lines:
    """From its first decorator to the end of its docstring."""
    first = min([method.lineno, *(decorator.lineno for decorator in method.decorator_list)])
    body = method.body[0]
    if ast.get_docstring(method) or body.lineno == method.lineno:
        return lines[first - 1 : body.end_lineno]
    return (*lines[first - 1 : body.lineno - 1], "        ...")


if __name__ == "__main__":
    sys.stdout.write(page())
