"""What do James and Thunderbird state about their messages? Fields, addresses, dates, texts and attachments, as they index them."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from mailward.formats.message import MessageView
from support.corpora import corpus_members
from support.stated import Statement

_JAMES = {
    "htmlMail": "htmlMail",
    "invalidCharset": "invalidCharset",
    "james-3901": "james-3901",
    "nonTextual": "nonTextual",
    "nonTextualWithoutAttachmentTextContent": "nonTextual",
    "emailWithNonIndexableAttachmentWithoutAttachment": "emailWithNonIndexableAttachment",
}
"""The message that each of its files is about."""
_WITH_TAGS = ("base64-2.out", "multipart2.out")
"""Thunderbird's test asks for the HTML of these, and for the text of the others."""


def statements() -> Iterator[Statement]:
    members = corpus_members("mime", "james-mailbox.tar.xz")
    for name, message in _JAMES.items():
        yield from _james(f"james-mailbox/{name}", json.loads(members[f"{name}.json"]), MessageView(members[f"{message}.eml"]))
    yield from _thunderbird()


def _james(fixture: str, theirs: dict[str, Any], view: MessageView) -> Iterator[Statement]:
    def stated(item: str, their_value: object, our_value: object) -> Statement:
        return Statement(fixture, item, their_value, our_value, view)

    fields = [(each["name"], each["value"].strip()) for each in theirs["headers"]]
    yield stated("fields", fields, [(field.name.lower(), field.text) for field in view.fields])
    for name in ("from", "to", "cc", "bcc"):
        boxes = [(box["name"] or "", box["address"]) for box in theirs[name]]
        read = [(box.display_name, str(box.address or "")) for box in view.addresses(name).mailboxes]
        yield stated(name, boxes, read)
    yield stated("subject", theirs["subject"], [view.subject])
    yield stated("message-id", theirs["mimeMessageID"], view.message_id)
    yield stated("date", datetime.fromisoformat(theirs["sentDate"]), view.date and view.date.at)
    yield stated("type", f"{theirs['mediaType']}/{theirs['subtype']}", view.root.content_type)
    for item, is_html in (("textBody", False), ("htmlBody", True)):
        sources = [text.source for text in view.texts() if text.is_html == is_html and text.part.filename is None]
        yield stated(item, theirs[item], sources[0] if sources else None)
    attachments = [
        (f"{each['mediaType']}/{each['subtype']}", each["fileName"], each["contentDisposition"]) for each in theirs["attachments"]
    ]
    yield stated(
        "attachments", attachments, [(part.content_type, part.filename, part.disposition) for part in view.attachments()]
    )


def _thunderbird() -> Iterator[Statement]:
    """The text that a body search looks through: the first that there is, blanks aside."""
    members = corpus_members("mime", "comm-central.tar.xz")
    for name, octets in members.items():
        if name.endswith(".out"):
            view = MessageView(members[name.removesuffix(".out")])
            texts = [text.source if name in _WITH_TAGS else text.text for text in view.texts()]
            read = next((" ".join(text.split()) for text in texts if text.strip()), "")
            yield Statement(f"comm-central/{name}", "text", " ".join(octets.decode().split()), read, view)
