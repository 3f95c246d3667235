"""Another message in the place of this one: replace and enclose (RFC 5703 sections 5 and 6)."""

import hashlib
import re

from mailward.formats.edits import render
from mailward.formats.header import split_header
from mailward.formats.message import MessageView
from mailward.formats.writing import fold_field, text_part
from mailward.model.edits import AddHeader, RecordedEdit, ReplaceHeader, ReplacePart
from mailward.sieve.addresses import sendable
from mailward.sieve.arguments import Shape, TagRule, Takes
from mailward.sieve.endings import RunProblem
from mailward.sieve.replying import address_field
from mailward.sieve.running import Command, Run, Step

_CONTENT_FIELD = re.compile(rb"(?:Content-[!-9;-~]*|MIME-Version)[ \t]*:", re.IGNORECASE)
_FIELD = re.compile(r"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)
_NEWLINE = re.compile(r"\r\n|\r|\n")
_READ_AGAIN = 10_000
"""Characters that reading a message's parts again costs beside its length."""


def _replace(run: Run, step: Step) -> None:
    """The part of the loop, else the whole body. A part that was in one that is replaced already has gone with it."""
    number = run.part.number if run.part is not None else ""
    text = run.text(step.string(0))
    run.spending.look_through(_READ_AGAIN + run.message.size_octets)
    edits: list[RecordedEdit] = [_replacement(step, number, text)]
    if not number:
        edits += _named(run, step, "subject", "Subject") + _named(run, step, "from", "From")
    try:
        _edit(run, render(run.message.octets, edits))
    except ValueError as error:
        if number:
            return
        raise RunProblem(f"the message cannot be replaced: {error}", step.place) from None


def _replacement(step: Step, number: str, text: str) -> ReplacePart:
    octets = _octets(text)
    if "mime" not in step.tags:
        return ReplacePart(number, "text/plain; charset=utf-8", octets, disposition="inline")
    entity = MessageView(octets).root
    declared = entity.field("Content-Type")
    content_type = declared.value.decode("ascii", "replace") if declared else "text/plain"
    return ReplacePart(number, content_type, entity.decode(), "base64", disposition="inline")


def _named(run: Run, step: Step, tag: str, name: str) -> list[RecordedEdit]:
    """A field with another value; what stood there is kept under the name of an original (RFC 5703 section 5)."""
    if tag not in step.tags:
        return []
    value = _line(run.text(step.tags[tag].strings[0]))
    if tag == "from":
        if sendable(value) is None:
            raise RunProblem(f"the tag ':from' wants one address, not {value[:60]!r}", step.place)
        value = address_field(name, value).decode().partition(": ")[2].replace("\r\n", "")
    found = run.message.field(name)
    if found is None:
        return [AddHeader(name, value)]
    return [ReplaceHeader(name, value), AddHeader(f"Original-{name}", _line(found.text))]


def _enclose(run: Run, step: Step) -> None:
    """A text, and the message as it was, attached."""
    original = run.message.octets
    boundary = b"=_" + hashlib.sha256(original).hexdigest()[:32].encode("ascii")
    said = [_FIELD.fullmatch(_line(one)) for one in run.texts(step.tags["headers"].strings)] if "headers" in step.tags else []
    if None in said:
        raise RunProblem("the tag ':headers' wants fields, as 'Name: value'", step.place)
    ours = [fold_field(found[1], found[2]) for found in said if found]
    if "subject" in step.tags:
        ours.append(fold_field("Subject", _line(run.text(step.tags["subject"].strings[0]))))
    names = {raw.partition(b":")[0].lower() for raw in ours}
    fields = split_header(run.message.header_octets)[0]
    kept = [raw for raw in fields if not _CONTENT_FIELD.match(raw) and raw.partition(b":")[0].strip().lower() not in names]
    head = b"".join(raw if raw.endswith(b"\n") else raw + b"\r\n" for raw in (*kept, *ours))
    delimiter = b"\r\n--" + boundary
    _edit(
        run,
        b"".join(
            (
                head,
                b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="' + boundary + b'"\r\n',
                delimiter + b"\r\n" + text_part(run.text(step.string(0))),
                delimiter + b"\r\nContent-Type: message/rfc822\r\n\r\n" + original,
                delimiter + b"--\r\n",
            )
        ),
    )


def _edit(run: Run, octets: bytes) -> None:
    run.spending.look_through(len(octets))
    run.edit(MessageView(octets))


def _line(text: str) -> str:
    """Text that stays within one field, whatever it holds (T-IMAP-20)."""
    return " ".join(text.replace("\0", "").split()).encode("utf-8", "replace").decode()


def _octets(text: str) -> bytes:
    return _NEWLINE.sub("\r\n", text).encode("utf-8", "replace")


COMMANDS = (
    Command(
        "replace",
        (Takes("replacement", Shape.STRING),),
        (TagRule("mime"), TagRule("subject", takes=Shape.STRING), TagRule("from", takes=Shape.STRING)),
        "replace",
        do=_replace,
    ),
    Command(
        "enclose",
        (Takes("text", Shape.STRING),),
        (TagRule("subject", takes=Shape.STRING), TagRule("headers", takes=Shape.STRINGS)),
        "enclose",
        do=_enclose,
    ),
)
