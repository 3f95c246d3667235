"""What does Stalwart's mail-parser state about its messages? Its parse as JSON, with offsets, for LF and for CRLF line ends."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from mailward.formats.address_lists import read_address_list
from mailward.formats.anomalies import hide_content
from mailward.formats.dates import read_date
from mailward.formats.header import FieldView
from mailward.formats.identifiers import read_identifiers
from mailward.formats.mailboxes import Group, Mailbox
from mailward.formats.message import MessageView
from mailward.formats.parameters import parse_parameterised
from mailward.formats.part import PartView
from mailward.formats.texts import TEXT_TYPES, TextPart
from mailward.formats.words import decode_words
from support.corpora import corpus_members
from support.stated import Statement, kind_of, opened

Json = dict[str, Any]
_KINDS = {"Multipart": "multipart", "Message": "message"}


def statements() -> Iterator[Statement]:
    members = corpus_members("mime", "stalwart-mail-parser.tar.xz")
    for name, octets in members.items():
        if not name.endswith(".eml"):
            continue
        stem = name.removesuffix(".eml")
        bare = octets.replace(b"\r\n", b"\n")
        for suffix, sent in (("", bare), (".crlf", bare.replace(b"\n", b"\r\n"))):
            view = MessageView(sent)
            theirs = dict(_parts(json.loads(members[f"{stem}{suffix}.json"]), ""))
            yield from _compare(f"stalwart-mail-parser/{stem}{suffix}", view, theirs)


def _parts(message: Json, place: str) -> Iterator[tuple[str, Json]]:
    """The parts of a message by their place; each part of a multipart is named by its position among all of them."""
    waiting = [(0, place)]
    while waiting:
        number, place = waiting.pop()
        part = message["parts"][number]
        yield place, part
        body = part["body"]
        children = enumerate(body.get("Multipart", ()), 1)
        waiting += [(child, f"{place}.{position}".lstrip(".")) for position, child in children]
        if "Message" in body:
            yield from _parts(body["Message"], f"{place}.1".lstrip("."))


def _compare(fixture: str, view: MessageView, theirs: dict[str, Json]) -> Iterator[Statement]:
    ours = opened(view)
    kinds = {place: _KINDS.get(next(iter(part["body"])), "leaf") for place, part in theirs.items()}
    yield Statement(fixture, "tree", kinds, {place: kind_of(ours[place]) for place in sorted(ours)}, view)
    for place in theirs.keys() & ours.keys():
        yield from _compare_part(fixture, place, ours[place], theirs[place], view)


def _compare_part(fixture: str, place: str, ours: PartView, theirs: Json, view: MessageView) -> Iterator[Statement]:
    def stated(item: str, their_value: object, our_value: object) -> Statement:
        return Statement(fixture, f"[{place}] {item}", their_value, our_value, view)

    offsets = (theirs["offset_header"], theirs["offset_body"], theirs["offset_end"])
    yield stated("offsets", offsets, (ours.start, ours.body_start, ours.end))
    yield stated("names", [_name(each["name"]) for each in theirs["headers"]], [_name(each.name) for each in ours.fields])
    if theirs["is_encoding_problem"]:
        yield stated("encoding problem", True, bool(hide_content(view.anomalies)))
    (kind, content), *_ = theirs["body"].items()
    if kind in ("Text", "Html"):
        yield stated("text", content, TextPart(ours).source if ours.content_type in TEXT_TYPES else ours.text)
        yield stated("is html", kind == "Html", ours.content_type == "text/html")
    elif kind in ("Binary", "InlineBinary"):
        yield stated("content", bytes(content), ours.decode())
    at = {field.start: field for field in ours.fields}
    for field in theirs["headers"]:
        read = at.get(field["offset_field"])
        if read is None:
            continue
        name = _name(field["name"])
        yield stated(f"{name} offsets", (field["offset_start"], field["offset_end"]), (read.value_start, read.end))
        if isinstance(field["value"], dict):
            ((form, value),) = field["value"].items()
            if form in _FORMS:
                yield stated(f"{name} {form}", *_FORMS[form](value, read))
        else:
            yield stated(f"{name} Empty", "", read.text)


def _name(name: str | Json) -> str:
    text = name["other"] if isinstance(name, dict) else name
    return text.lower().replace("_", "-")


def _addresses(theirs: Json, field: FieldView) -> tuple[object, object]:
    ((form, entries),) = theirs.items()
    groups = entries if form == "Group" else [{"name": None, "addresses": entries}]
    stated = [(group["name"] or "", [(box["name"] or "", box["address"]) for box in group["addresses"]]) for group in groups]
    ours: list[tuple[str, list[tuple[str, str]]]] = []
    for entry in read_address_list(field.value).entries:
        if isinstance(entry, Group):
            ours.append((decode_words(entry.name_octets), _boxes(entry.mailboxes)))
        elif ours and not ours[-1][0]:
            ours[-1][1].extend(_boxes((entry,)))
        else:
            ours.append(("", _boxes((entry,))))
    return stated, ours


def _boxes(mailboxes: Sequence[Mailbox]) -> list[tuple[str, str]]:
    return [
        (box.display_name, b"@".join(filter(None, (box.local_part_octets, box.domain_octets))).decode("utf-8", "replace"))
        for box in mailboxes
    ]


def _date(theirs: Json, field: FieldView) -> tuple[object, object]:
    zone = timedelta(hours=theirs["tz_hour"], minutes=theirs["tz_minute"]) * (-1 if theirs["tz_before_gmt"] else 1)
    numbers = [theirs[name] for name in ("year", "month", "day", "hour", "minute", "second")]
    try:
        stated: object = datetime(*numbers, tzinfo=UTC) - zone  # type: ignore[misc]
    except ValueError:
        stated = numbers
    read = read_date(field.value)
    return stated, read.at if read else None


def _type(theirs: Json, field: FieldView) -> tuple[object, object]:
    read = parse_parameterised(field.value)
    value = "/".join(filter(None, (theirs["c_type"], theirs["c_subtype"])))
    attributes = {each["name"].lower(): each["value"] for each in theirs["attributes"] or ()}
    return (value.lower(), attributes), (read.value, dict(read.parameters))


def _text(theirs: str, field: FieldView) -> tuple[object, object]:
    if field.name.lower() in ("message-id", "content-id"):
        return [theirs], [each.strip("<>") for each in read_identifiers(field.value).ids]
    return theirs, field.text


def _texts(theirs: list[str], field: FieldView) -> tuple[object, object]:
    if field.name.lower() in ("references", "in-reply-to", "message-id"):
        return theirs, [each.strip("<>") for each in read_identifiers(field.value).ids]
    return theirs, [each.strip() for each in field.text.split(",")]


_FORMS: dict[str, Callable[[Any, FieldView], tuple[object, object]]] = {
    "Address": _addresses,
    "DateTime": _date,
    "ContentType": _type,
    "Text": _text,
    "TextList": _texts,
}
"""How a value of each form is compared. That of Received is parsed into what only its own readers need, and is left out."""
