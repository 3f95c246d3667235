"""What does `docs/reference/replies.md` say? The page is made from the table, so that it cannot fall behind it.

python -m mailward.testing.replypage > docs/reference/replies.md
"""

import sys

from mailward.model.replies import REPLIES
from mailward.model.reply import Reply

_HEAD = """\
# Replies

This page is made from the table in `mailward.model.replies`; `python -m mailward.testing.replypage` writes it.

What the server says by itself to those who send mail, over SMTP, submission and LMTP. A policy can word each of them by its
name, see [`replies`](policy.md#replies); what stands in braces is filled in. Where a decision was made, its id is put behind:
`550 5.1.1 No such mailbox here (id 1k186zcsgtcwcvs3)`.

| Name | Reply |
|---|---|
"""


def page() -> str:
    """The whole page, as Markdown."""
    return _HEAD + "".join(f"| `{name}` | `{_shown(answer)}` |\n" for name, answer in REPLIES.items())


def _shown(answer: Reply) -> str:
    return f"{answer}" + (" (and the connection ends)" if answer.closes else "")


if __name__ == "__main__":
    sys.stdout.write(page())
