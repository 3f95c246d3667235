"""What do MIME-tools, KDE and MimeKit state about their messages? Types, names and sizes; shapes as shown; offsets in an mbox file."""

import json
import re
from collections.abc import Iterator
from typing import Any

from mailward.formats.mbox import message_spans
from mailward.formats.message import MessageView
from mailward.formats.part import PartView
from support.corpora import corpus_members
from support.stated import Statement, epilogue_of, opened, preamble_of

_SECTION = re.compile(r'"(Msg|Part_[\d_]+)" => \{(.*?)\n *\}', re.DOTALL)
_ENTRY = re.compile(r'"?(\w+)"? => (?:"((?:[^"\\]|\\.)*)"|(\d+))')
_ABOUT_FILES = ("BodyFilename", "Fail")
"""Where it wrote a body to, and whether it gave up, as we never do."""
_ESCAPED = re.compile(r"\\(?:x\{([0-9a-f]+)\}|(n)|(.))")

_SHAPES = {
    "TextMessagePart": "leaf",
    "HtmlMessagePart": "leaf",
    "AttachmentMessagePart": "leaf",
    "CertMessagePart": "leaf",
    "AlternativeMessagePart": "alternative",
    "EncryptedMessagePart": "encrypted",
    "SignedMessagePart": "signed",
    "MimeMessagePart": "mixed",
    "EncapsulatedRfc822MessagePart": "message",
    "MessagePartList": "list",
}
_CLOSED = ("leaf", "alternative", "encrypted")
"""What KDE shows inside of these is chosen, decrypted, or found in a text: no part of the message."""

Shape = tuple[str, tuple["Shape", ...]]


def statements() -> Iterator[Statement]:
    yield from _mime_tools()
    yield from _kde()
    yield from _mimekit()


def _mime_tools() -> Iterator[Statement]:
    """MIME-tools: .ref files, Perl data."""
    members = corpus_members("mime", "mime-tools.tar.xz")
    for name, octets in members.items():
        if not name.endswith("ref"):
            continue
        message = _MESSAGE_OF.get(name, f"{name.removesuffix('.ref')}.msg")
        view = MessageView(members[message])
        ours = {place.replace(".", "_"): part for place, part in opened(view).items()}
        for section, entries in _SECTION.findall(octets.decode()):
            place = "" if section == "Msg" else section.removeprefix("Part_")
            part = ours.get(place)
            for key, text, number in _ENTRY.findall(entries):
                if key not in _ABOUT_FILES:
                    read = _item(part, key) if part is not None else None
                    stated = int(number) if number else _ESCAPED.sub(_unescaped, text)
                    yield Statement(f"mime-tools/{name}", f"[{place.replace('_', '.')}] {key}", stated, read, view)


_MESSAGE_OF = {
    "testmsgs/uu-junk-extracted.ref": "testmsgs/uu-junk-target.msg",
    "testmsgs/hdr-fakeout-newmailtools-ref": "testmsgs/hdr-fakeout.msg",
}


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else "\n" if found[2] else found[3]


def _item(part: PartView, key: str) -> object:
    if key in ("Subject", "From", "To"):
        fields = part.children[0] if part.is_message else part
        found = fields.field(key)
        return found.text if found else None
    return {
        "Type": part.content_type,
        "Encoding": part.encoding,
        "Charset": part.type_octets and dict(part.type_octets).get(b"charset", b"").decode(),
        "Boundary": (part.boundary or b"").decode(),
        "Disposition": part.disposition,
        "Filename": part.filename,
        "Size": len(part.decode()),
        "Preamble": preamble_of(part).decode(),
        "Epilogue": epilogue_of(part).decode(),
    }.get(key)


def _kde() -> Iterator[Statement]:
    """KDE: .tree files, the classes that show a message, each indented under what holds it."""
    members = corpus_members("mime", "kde-mimetreeparser.tar.xz")
    for name, octets in members.items():
        if name.endswith(".tree"):
            message = members[name.removesuffix(".tree")]
            view = MessageView(message)
            yield Statement(f"kde-mimetreeparser/{name}", "shape", _shown(octets.decode()), ("list", (_shape(view.root),)), view)


def _shown(tree: str) -> Shape:
    open_shapes: list[tuple[int, str, list[Any]]] = [(-1, "", [])]
    for line in tree.splitlines():
        indent, label = len(line) - len(line.lstrip()), _SHAPES.get(line.rpartition("::")[2])
        while open_shapes[-1][0] >= indent:
            _close(open_shapes)
        if label and not any(shape in _CLOSED for _, shape, _ in open_shapes):
            open_shapes.append((indent, label, []))
    while len(open_shapes) > 1:
        _close(open_shapes)
    return open_shapes[0][2][0]  # type: ignore[no-any-return]


def _close(open_shapes: list[tuple[int, str, list[Any]]]) -> None:
    _, label, children = open_shapes.pop()
    open_shapes[-1][2].append((label, tuple(children)))


def _shape(part: PartView) -> Shape:
    if part.content_type == "multipart/signed":
        return "signed", tuple(map(_shape, part.children[:-1]))
    label = {"multipart/alternative": "alternative", "multipart/encrypted": "encrypted"}.get(part.content_type)
    if label:
        return label, ()
    label = "mixed" if part.is_multipart else "message" if part.is_message else "leaf"
    return label, tuple(map(_shape, part.children))


def _mimekit() -> Iterator[Statement]:
    """MimeKit: offsets of everything in an mbox file, with CRLF and without."""
    members = corpus_members("mime", "mimekit.tar.xz")
    bare = members["mbox/issue1189.mbox.txt"].replace(b"\r\n", b"\n")
    for kind, octets in (("unix", bare), ("dos", bare.replace(b"\n", b"\r\n"))):
        fixture = f"mimekit/issue1189.{kind}"
        theirs = json.loads(members[f"mbox/issue1189.{kind}-offsets.json"])
        spans = message_spans(octets)
        for number, (message, (start, end)) in enumerate(zip(theirs, spans, strict=True), 1):
            view = MessageView(octets[start:end])
            stated = (message["beginOffset"], message["headersEndOffset"], message["endOffset"])
            yield Statement(fixture, f"message {number}", stated, (start, start + view.root.body_start, end), view)
            ours = opened(view)
            for place, part in _flat(message["body"], ""):
                read = ours.get(place)
                item = f"message {number} [{place}]"
                yield Statement(fixture, f"{item} type", part["mimeType"], read and read.content_type, view)
                stated = (part["beginOffset"], part["headersEndOffset"], part["endOffset"])
                yield Statement(
                    fixture,
                    f"{item} offsets",
                    stated,
                    read and (start + read.start, start + read.body_start, start + read.end),
                    view,
                )


def _flat(part: dict[str, Any], place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield place, part
    for position, child in enumerate(part.get("children", ()), 1):
        yield from _flat(child, f"{place}.{position}".lstrip("."))
