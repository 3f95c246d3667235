"""What does `docs/reference/hooks.md` say? The page is made from the specifications, so that it cannot fall behind them.

python -m mailward.testing.hookpage > docs/reference/hooks.md
"""

import inspect
import re
import sys
from collections.abc import Mapping
from typing import get_args

from mailward.api import Edit, EnvelopeView, PartEncoding, SessionView, hooks
from mailward.pipeline.answers import MAX_CONTENT_OCTETS, MAX_EDITS
from mailward.pipeline.plugins import spec_arguments
from mailward.pipeline.stages import (
    AUTH_STAGE_S,
    COMMAND_STAGE_S,
    DAY_S,
    DELIVER_STAGE_S,
    LIFE_STAGE_S,
    MESSAGE_STAGE_S,
    PLACES,
    RELAY_STAGE_S,
    WATCHER_S,
)

ANSWERS = ("Stage", "Return", "On error", "Used by", "Since")
"""What every specification says, in this order (style section 4)."""

_HEAD = f"""\
# Hooks

This page is made from the specifications in `mailward.api.hooks`; `python -m mailward.testing.hookpage` writes it.
[What a hook is given and answers](api.md), class by class, stands on a page of its own;
[why hooks are shaped so](../explanation/hooks.md) is told elsewhere.

A plugin implements a hook by a function of its name under `@hookimpl`. It names only the arguments it wants; they are given
by name. `async def` runs on the event loop, `def` in a thread, `@hookimpl(inline=True)` directly. What `services` has to wait for
(`kv`, `resolver`, `http`, `submit`, `run_blocking`, `credentials`) is awaited, so a hook that uses one of these is `async def`.
`@hookimpl(needs=["spf"])` waits for plugins that must be enabled, `after=["spam"]` for those that are, `after="*"` for all.
One call may take `timeout:` of the policy (10 s unless it says otherwise), and no more than is left of what it shares:
all plugins of one hook have {AUTH_STAGE_S:g} s around a login, {DELIVER_STAGE_S:g} s before a copy is stored and
{RELAY_STAGE_S:g} s around an outbound attempt;
all hooks of one SMTP command {COMMAND_STAGE_S:g} s, those of a message {MESSAGE_STAGE_S:g} s;
an `on_*` hook has {WATCHER_S:g} s, `on_day` {DAY_S:g} s;
all plugins of a `collect_*` hook that a command asks have {LIFE_STAGE_S:g} s.

| Hook | Stage | Arguments | Used by |
|---|---|---|---|
"""


_EDITS = f"""
## Edits

What `edit_message` and `edit_relay` return. The server keeps them beside the message, whose octets stay as they were received,
and applies them to each copy; octets that no edit names do not change. Fields and parts are counted in the message that the hook
was given, so edits of other plugins do not move them. One answer may hold {MAX_EDITS} edits and {MAX_CONTENT_OCTETS >> 10} KiB of
new content. `Received`, `Return-Path` and `Authentication-Results` are the server's. Whatever is edited inside a signed part, or
of what a DKIM signature of the sender covers, breaks that signature.
"""


def answers(hook: str) -> Mapping[str, str]:
    """What the docstring of a specification says: "Stage" and the others -> text. Raises ValueError when one is missing."""
    found = _parts(hook)
    return {word: _one_line(found[f"_{number}"]) for number, word in enumerate(ANSWERS)}


def users(hook: str) -> tuple[str, ...]:
    """The bundled plugins that a specification names as its users."""
    return tuple(word.strip() for word in answers(hook)["Used by"].rstrip(".").split(","))


def page() -> str:
    """The whole page, as Markdown."""
    return _HEAD + "".join(_row(hook) for hook in PLACES) + "".join(_section(hook) for hook in PLACES) + _edits()


def _row(hook: str) -> str:
    arguments = ", ".join(f"`{name}`" for name in spec_arguments(hook))
    return f"| [`{hook}`](#{hook}) | {PLACES[hook].stage} | {arguments} | {', '.join(users(hook))} |\n"


def _section(hook: str) -> str:
    parameters = inspect.signature(getattr(hooks, hook)).parameters.values()
    signature = ", ".join(f"{p.name}: {_type(p.annotation)}" for p in parameters)
    what = "\n\n".join(_one_line(paragraph) for paragraph in _parts(hook)["what"].split("\n\n"))
    told = "\n".join(f"- **{word}:** {text}" for word, text in answers(hook).items())
    return f"\n## {hook}\n\n```python\ndef {hook}({signature})\n```\n\n{what}\n\n{told}\n"


def _parts(hook: str) -> re.Match[str]:
    """The docstring taken apart: what stands before the answers as "what", the answers as "_0" and so on."""
    pattern = r"(?P<what>.+?)\s+" + "".join(rf"{re.escape(word)}:\s+(?P<_{number}>.+?)\s+" for number, word in enumerate(ANSWERS))
    found = re.fullmatch(pattern, (inspect.getdoc(getattr(hooks, hook)) or "") + "\n", re.DOTALL)
    if found is None:
        raise ValueError(f"the docstring of {hook} must answer {', '.join(ANSWERS)}, in this order")
    return found


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _edits() -> str:
    return _EDITS + "".join(f"\n```python\n{_signature(edit)}\n```\n\n{_told(edit)}\n" for edit in get_args(Edit))


def _signature(edit: type) -> str:
    parameters = inspect.signature(edit).parameters.values()
    return f"{edit.__name__}({', '.join(str(p.replace(annotation=_Written(_type(p.annotation)))) for p in parameters)})"


def _told(edit: type) -> str:
    return _one_line(inspect.getdoc(edit) or "")


class _Written:
    """An annotation that is shown as it stands here."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _type(annotation: object) -> str:
    if annotation in _NAMES:
        return _NAMES[annotation]
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


_NAMES: Mapping[object, str] = {SessionView: "SessionView", EnvelopeView: "EnvelopeView", PartEncoding: "PartEncoding"}
"""These are known by another name."""


if __name__ == "__main__":
    sys.stdout.write(page())
