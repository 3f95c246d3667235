"""The header, edited: addheader and deleteheader (RFC 5293)."""

import re

from mailward.formats.header import split_header
from mailward.formats.message import MessageView
from mailward.formats.writing import fold_field
from mailward.sieve.arguments import Shape, TagRule, Takes
from mailward.sieve.endings import RunProblem
from mailward.sieve.fields import indexed
from mailward.sieve.matching import MATCHING, check_matching, matches
from mailward.sieve.running import Checking, Command, Run, Step

_FIELD_NAME = re.compile(r"[!-9;-~]+")
_KEPT = frozenset({"received", "auto-submitted", "delivered-to"})
"""RFC 5293 section 6: without these mail could run in circles, so they are neither written nor deleted."""
_VALUE_CHARACTERS = 8000


def _addheader(run: Run, step: Step) -> None:
    name = run.text(step.string(0))
    if not _FIELD_NAME.fullmatch(name):
        raise RunProblem(f"{name[:40]!r} is no name of a header field", step.place)
    if name.lower() in _KEPT:
        return
    # Line ends of the value are blanks: it is one field, whatever it holds (T-IMAP-20).
    value = " ".join(run.text(step.string(1)).replace("\0", "").split())[:_VALUE_CHARACTERS]
    written = fold_field(name, value.encode("utf-8", "replace").decode())
    fields, empty_line = split_header(run.message.header_octets)
    _put(run, [*fields, written] if "last" in step.tags else [written, *fields], empty_line)


def _deleteheader(run: Run, step: Step) -> None:
    name = run.text(step.string(0))
    if name.lower() in _KEPT:
        return
    patterns = step.strings(1) if len(step.values) == 2 else None
    found = indexed(step, run.message.all(name))
    gone = {field.start for field in found if patterns is None or matches(run, step, (field.text,), patterns)}
    if gone:
        fields = [field for field in run.message.fields if field.start not in gone]
        _put(run, [field.raw for field in fields], split_header(run.message.header_octets)[1])


def _put(run: Run, fields: list[bytes], empty_line: bytes) -> None:
    """Go on with a message that has these fields."""
    run.spending.look_through(run.message.size_octets)
    whole = (raw if raw.endswith(b"\n") else raw + b"\r\n" for raw in fields)
    run.edit(MessageView(b"".join((*whole, empty_line or b"\r\n", run.message.body_octets))))


def _check_name(checking: Checking, step: Step) -> None:
    name = step.string(0)
    if name.constant is not None and not _FIELD_NAME.fullmatch(name.constant):
        checking.problem(name.place, f"{name.constant[:40]!r} is no name of a header field")


def _check_delete(checking: Checking, step: Step) -> None:
    _check_name(checking, step)
    if "last" in step.tags and "index" not in step.tags:
        checking.problem(step.tags["last"].place, "the tag ':last' stands only beside ':index'")
    if len(step.values) == 2:
        check_matching(checking, step)


_NAME = Takes("field name", Shape.STRING)
COMMANDS = (
    Command(
        "addheader", (_NAME, Takes("value", Shape.STRING)), (TagRule("last"),), "editheader", check=_check_name, do=_addheader
    ),
    Command(
        "deleteheader",
        (_NAME, Takes("value patterns", Shape.STRINGS)),
        (TagRule("index", takes=Shape.NUMBER), TagRule("last"), *MATCHING),
        "editheader",
        missing=1,
        check=_check_delete,
        do=_deleteheader,
    ),
)
