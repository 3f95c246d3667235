"""What does mime4j state about its messages? The events of its parser as XML, once as received and once decoded."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailward.formats.message import MessageView
from mailward.formats.part import PartView
from support.corpora import corpus_members
from support.stated import Statement, epilogue_of, kind_of, opened, preamble_of, without_line_end

_TAG = re.compile(rb'<(/?)([a-z-]+)(?: name="([^"]*)")?(/?)>(?:\r\n)?')
_ENTITIES = ((b"&lt;", b"<"), (b"&gt;", b">"), (b"&amp;", b"&"))
_CONTENTS = ("field", "preamble", "epilogue", "body")


@dataclass
class _Entity:
    kind: str = "leaf"
    fields: list[bytes] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    count: int = 0


def statements() -> Iterator[Statement]:
    members = corpus_members("mime", "mime4j.tar.xz")
    for name, octets in members.items():
        if not name.endswith(".msg"):
            continue
        view, stem = MessageView(octets), name.removesuffix(".msg")
        folder = name.rpartition("/")[0]
        for suffix in ("", "_decoded"):
            fixture = f"mime4j/{stem}{suffix}"
            files = {file: members.get(f"{folder}/{file}") for file in _files(members[f"{stem}{suffix}.xml"])}
            yield from _compare(fixture, view, _entities(members[f"{stem}{suffix}.xml"], files))


def _files(events: bytes) -> list[str]:
    return [found[3].decode() for found in _TAG.finditer(events) if found[3]]


def _entities(events: bytes, files: dict[str, bytes | None]) -> dict[str, _Entity]:
    """Its entities by their place. The file is read octet by octet: an XML parser would change line ends."""
    root = _Entity()
    found = {"": root}
    places = [""]
    started = 0
    for tag in _TAG.finditer(events):
        is_end, name, file = bool(tag[1]), tag[2].decode(), tag[3]
        entity = found[places[-1]]
        if file:
            entity.contents["decoded"] = files[file.decode()] or b""
        elif name in _CONTENTS and not is_end:
            started = tag.end()
        elif name in _CONTENTS:
            content = events[started : tag.start()]
            for escaped, plain in _ENTITIES:
                content = content.replace(escaped, plain)
            if name == "field":
                entity.fields.append(content)
            else:
                entity.contents[name] = content
        elif name == "multipart" and not is_end:
            entity.kind = "multipart"
        elif name in ("message", "body-part") and not is_end and tag.start():
            if name == "message":
                entity.kind = "message"
            entity.count += 1
            places.append(f"{places[-1]}.{entity.count}".lstrip("."))
            found[places[-1]] = _Entity()
        elif name in ("message", "body-part") and is_end:
            places.pop()
    return found


def _compare(fixture: str, view: MessageView, theirs: dict[str, _Entity]) -> Iterator[Statement]:
    ours = opened(view)
    yield Statement(
        fixture,
        "tree",
        {place: entity.kind for place, entity in theirs.items()},
        {place: kind_of(part) for place, part in ours.items()},
        view,
    )
    for place, entity in theirs.items():
        part = ours.get(place)
        if part is None:
            continue
        yield Statement(fixture, f"[{place}] fields", entity.fields, [without_line_end(each.raw) for each in part.fields], view)
        for name, content in entity.contents.items():
            yield Statement(fixture, f"[{place}] {name}", content, _content(part, name), view)


def _content(part: PartView, name: str) -> bytes:
    if name == "decoded":
        return part.decode()
    if name == "body":
        return part.body_octets
    return preamble_of(part) if name == "preamble" else epilogue_of(part)
