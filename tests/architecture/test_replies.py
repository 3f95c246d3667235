"""What the server says to those who send mail comes from one table, and nothing internal is in it."""

import ast
import re
from pathlib import Path

import pytest

import mailward
from mailward.model.replies import REPLIES
from mailward.model.reply import Reply
from mailward.testing import replypage

CORE = Path(mailward.__file__).parent
PAGE = CORE.parents[1] / "docs" / "reference" / "replies.md"
MACHINES_READ = {"protocol/smtp/server.py": {220}, "protocol/smtp/session.py": {214, 250}}
"""Greeting, HELP, EHLO and HELO."""
NOT_TO_PEERS = {"protocol/smtp/outgoing.py", "protocol/smtp/replies.py", "model/reply.py", "model/replies.py"}
"""The sending side, for reports and logs; the values themselves."""


def made_elsewhere() -> set[tuple[str, object]]:
    """(module, code) of each reply that is made by its code in what receives mail."""
    found: set[tuple[str, object]] = set()
    for path in CORE.rglob("*.py"):
        module = str(path.relative_to(CORE))
        if module in NOT_TO_PEERS or module.startswith(("delivery/", "testing/", "protocol/smtp/client")):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("reply", "Reply")
                and node.args
            ):
                first = node.args[0]
                found.add((module, first.value if isinstance(first, ast.Constant) else ast.unparse(first)))
    return found


def test_no_reply_is_made_beside_the_table() -> None:
    allowed: set[tuple[str, object]] = {(module, code) for module, codes in MACHINES_READ.items() for code in codes}
    allowed.add(("policy/texts.py", "self.code"))  # the admin's own, in a rule
    assert made_elsewhere() == allowed


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_is_short_has_a_code_that_fits_and_says_nothing_of_the_inside(name: str) -> None:
    answer = REPLIES[name]
    assert answer.name == name and re.fullmatch("[a-z0-9_]+", name)
    (text,) = answer.lines
    assert text.isascii() and text.isprintable() and len(text) <= 100
    if answer.enhanced is None:  # RFC 2034 section 4: those of class 3 have none
        assert answer.code // 100 == 3
    else:  # RFC 3463 section 2
        assert answer.enhanced.partition(".")[0] == str(answer.code // 100)
        assert re.fullmatch(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", answer.enhanced)
    plugins = {path.parent.name for path in (CORE.parents[1] / "plugins" / "mailward_plugins").glob("*/__init__.py")}
    words = set(re.findall(r"[a-z_]+", text.lower()))
    assert not words & (
        (plugins - {"encryption"}) | {"mailward", "python", "aiosmtpd", "exception", "error:", "traceback", "plugin", "sqlite"}
    )


def test_what_an_admin_says_fits_into_a_line_with_code_and_id() -> None:
    longest = Reply(550, "5.7.999", ("x" * 400 + " (id 1k186zcsgtcwcvs3)",))
    assert len(longest.to_octets()) <= 512 and longest.to_octets().endswith(b"(id 1k186zcsgtcwcvs3)\r\n")


def test_the_page_is_written() -> None:
    assert PAGE.read_text() == replypage.page(), (
        "write it again: python -m mailward.testing.replypage > docs/reference/replies.md"
    )
