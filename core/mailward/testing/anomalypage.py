"""What does `docs/reference/anomalies.md` say? The page is made from the catalogue, so that it cannot fall behind it.

python -m mailward.testing.anomalypage > docs/reference/anomalies.md
"""

import sys
from collections.abc import Mapping
from typing import get_args

from mailward.formats.anomalies import ANOMALIES, Kind

_ABOUT: Mapping[Kind, str] = {
    "lines": "Lines",
    "header": "Header",
    "author": "Author",
    "structure": "Structure: another reader may find other parts",
    "content": "Content: another reader may find other octets in a part",
    "budget": "Budgets: not everything was read",
}
_HEAD = """\
# Anomalies

This page is made from the catalogue in `mailward.formats.anomalies`; `python -m mailward.testing.anomalypage` writes it.

What two readers of a message could take differently has a name. A policy sees the names as `message.anomalies`, a plugin as
`MessageView.anomalies`, and `mailward message inspect FILE` says in which part they are.
[Why there is one reading](../explanation/messages.md) is told elsewhere.
"""


def page() -> str:
    """The whole page, as Markdown."""
    return _HEAD + "".join(_section(kind) for kind in get_args(Kind))


def _section(kind: Kind) -> str:
    rows = "".join(f"| `{name}` | {a.sentence} |\n" for name, a in sorted(ANOMALIES.items()) if a.kind == kind)
    return f"\n## {_ABOUT[kind]}\n\n| Name | What it means |\n|---|---|\n{rows}"


if __name__ == "__main__":
    sys.stdout.write(page())
