"""What does a delivery status notification of another server say, and about which message? (RFC 3464, 6522, 6533)

Its writer is a stranger: every value is one line of bounded, printable text, and what is missing is "".
"""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from mailward.formats.header import FieldView, header_end, split_header
from mailward.formats.message import MessageView
from mailward.formats.text import one_line
from mailward.formats.xtext import utf8_address_read

MAX_RECIPIENTS = 100
"""Of one report; those behind are not read."""
MAX_VALUE = 300

HeardAction = Literal["failed", "delayed", "delivered", "relayed", "expanded"]
"""RFC 3464 section 2.3.3."""
_EMPTY_LINES = re.compile(rb"\n(?:[ \t]*\r?\n)+")
_STATUS_TYPES = ("message/delivery-status", "message/global-delivery-status")
_ORIGINAL_TYPES = ("message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers")


@dataclass(frozen=True, slots=True)
class HeardStatus:
    """The fields of one recipient. final_recipient, original_recipient: addresses without their type.

    status: "5.1.1". diagnostic: without its type, as a server said it.
    """

    final_recipient: str
    original_recipient: str
    action: HeardAction
    status: str
    diagnostic: str


@dataclass(frozen=True, slots=True)
class HeardReport:
    """reporting_mta: its name, without the type. message_id: of the message it is about, with angle brackets."""

    reporting_mta: str
    envelope_id: str
    message_id: str
    statuses: tuple[HeardStatus, ...]


def read_report(message: MessageView) -> HeardReport | None:
    """The report that a message is; None for any other message, and for a report without a recipient."""
    if message.root.content_type != "multipart/report":
        return None
    parts = message.root.children
    status = next((part for part in parts if part.content_type in _STATUS_TYPES), None)
    original = next((part for part in parts if part.content_type in _ORIGINAL_TYPES), None)
    if status is None:
        return None
    about, *groups = _groups(status.decode()) or [{}]
    told = [heard for group in groups[:MAX_RECIPIENTS] if (heard := _status(group)) is not None]
    if not told:
        return None
    returned = b"" if original is None else original.decode()
    fields = _fields(returned[: header_end(returned)])
    return HeardReport(
        _typed(about.get("reporting-mta", "")), about.get("original-envelope-id", ""), fields.get("message-id", ""), tuple(told)
    )


def _status(group: dict[str, str]) -> HeardStatus | None:
    action = next((word for word in get_args(HeardAction) if word == group.get("action", "").lower()), None)
    final = _address(group.get("final-recipient", ""))
    if action is None or not final:
        return None
    original = _address(group.get("original-recipient", ""))
    status = group.get("status", "").partition(" ")[0]  # some put a comment behind it (RFC 3464 section 2.3.4)
    return HeardStatus(final, original, action, status, _typed(group.get("diagnostic-code", "")))


def _groups(octets: bytes) -> list[dict[str, str]]:
    """Fields by group: groups end with an empty line."""
    return [_fields(block + b"\n") for block in _EMPTY_LINES.split(octets) if block.strip()]


def _fields(block: bytes) -> dict[str, str]:
    """Values by name in lower case, the first of each."""
    found: dict[str, str] = {}
    for raw in split_header(block)[0]:
        field = FieldView.of(raw)
        found.setdefault(field.name.lower(), one_line(field.value.decode("utf-8", "replace"), MAX_VALUE))
    return found


def _typed(value: str) -> str:
    """What stands behind "dns;", "smtp;" and the like."""
    return value.partition(";")[2].strip() if ";" in value else value


def _address(value: str) -> str:
    """Of a typed address; that of a utf-8 one is read from either of its forms (RFC 6533 section 3)."""
    kind, separator, address = value.partition(";")
    if not separator:
        return value
    return utf8_address_read(address.strip()) if kind.strip().lower() == "utf-8" else address.strip()
