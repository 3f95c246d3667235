"""How is a delivery status notification written? (RFC 3461 section 6; RFC 3464; RFC 6522; RFC 6533)

What another server said is a stranger's text: it is cut to one line of printable characters, so that it cannot add a field
or a part. A report is 7-bit whatever it tells of, because nobody hears of a report that cannot travel; only a report to an
internationalized address, which goes by SMTPUTF8 or not at all, has addresses and words as they are.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import count
from typing import Literal

from mailward.formats.header import header_end, split_header
from mailward.formats.text import one_line
from mailward.formats.writing import encoded_part, fold_field, text_part

MAX_LINE_UTF8 = 998 // 4
"""Characters that fit into a line in any case."""
MAX_HEADER_OCTETS = 64 << 10
"""How much of the original's header block goes back."""

_NEWLINE = re.compile(rb"\r\n|\r|\n")
_REPLY = re.compile(r"[245][0-9]{2}(?:[ -]|\Z)")
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
_SPECIAL = re.compile(r"[^!-~]|[\\+=]")

Action = Literal["failed", "delayed", "delivered", "relayed", "expanded"]
"""What is told (RFC 3464 section 2.3.3)."""


EIGHT_BIT = b"Content-Transfer-Encoding: 8bit\r\n"

_CLASS = {"failed": 5, "delayed": 4, "delivered": 2, "relayed": 2, "expanded": 2}
"""First digit of a status (RFC 3463 section 2)."""


@dataclass(frozen=True, slots=True)
class RecipientStatus:
    """The fields of one recipient (RFC 3464 section 2.3), as values; "" and None leave a field out.

    status: enhanced ("5.1.1"); anything else is told as x.0.0. diagnostic: the reply of `remote_mta`, or our own words when no
    server replied. original_recipient: as in `RcptParameters`.
    """

    final_recipient: str
    action: Action
    status: str
    diagnostic: str = ""
    remote_mta: str = ""
    last_attempt_at: datetime | None = None
    will_retry_until: datetime | None = None
    original_recipient: str = ""


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """One report. sender: of the report itself; recipient: the reverse-path of the message it is about.

    text: the part for people, lines ended by "\\n". message_id: of the report, references: of the original or "", both with
    their angle brackets. arrival_at: when the original was received. original: it, or at least its header block.
    envelope_id: the sender's ENVID. deliver_by_at: by when it was to be delivered (RFC 2852). is_full: all of the original goes
    back, 8-bit if it is, not its header alone.
    """

    hostname: str
    sender: str
    recipient: str
    subject: str
    at: datetime
    message_id: str
    text: str
    arrival_at: datetime
    statuses: Sequence[RecipientStatus]
    original: bytes
    references: str = ""
    envelope_id: str = ""
    deliver_by_at: datetime | None = None
    is_full: bool = False

    def to_octets(self) -> bytes:
        """The whole message, CRLF line ends, no line above 998 octets."""
        original = _whole_part(self.original) if self.is_full else _header_part(self.original)
        parts = [text_part(self.text), self._status_part(), original]
        boundary = next(one for one in _boundaries(self.message_id) if not any(one.encode("ascii") in part for part in parts))
        delimiter = f"--{boundary}\r\n".encode("ascii")
        body = b"".join(delimiter + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode("ascii")
        return self._header(boundary) + b"\r\n" + body

    @property
    def is_international(self) -> bool:
        """Does it go by SMTPUTF8, since its recipient has an address beyond ASCII? (RFC 6533 section 4)"""
        return not self.recipient.isascii()

    @property
    def is_seven_bit(self) -> bool:
        return (not self.is_full or self.original.isascii()) and self._status_part().isascii()

    def _header(self, boundary: str) -> bytes:
        return b"".join(
            [
                fold_field("From", f"Mail delivery <{self.sender}>"),
                # RFC 6532: an internationalized address has no form in ASCII; all others are ASCII.
                f"To: <{one_line(self.recipient)}>\r\n".encode(),
                fold_field("Subject", one_line(self.subject)),
                fold_field("Date", format_datetime(self.at.astimezone(UTC))),
                fold_field("Message-ID", self.message_id),
                fold_field("References", self.references) if self.references else b"",
                fold_field("Auto-Submitted", "auto-replied"),  # RFC 3834 section 5
                fold_field("MIME-Version", "1.0"),
                fold_field("Content-Type", f'multipart/report; report-type=delivery-status; boundary="{boundary}"'),
                b"" if self.is_seven_bit else EIGHT_BIT,
            ]
        )

    def _status_part(self) -> bytes:
        about = fold_field("Original-Envelope-Id", one_line(self.envelope_id)) if self.envelope_id.strip() else b""
        about += fold_field("Reporting-MTA", f"dns; {self.hostname}") + fold_field("Arrival-Date", _date(self.arrival_at))
        about += fold_field("Deliver-By-Date", _date(self.deliver_by_at)) if self.deliver_by_at else b""
        groups = [about]
        groups += [_recipient_fields(status, is_international=self.is_international) for status in self.statuses]
        octets = b"\r\n".join(groups)
        kind = b"message/global-delivery-status" if self.is_international else b"message/delivery-status"
        return b"Content-Type: " + kind + b"\r\n" + (b"" if octets.isascii() else EIGHT_BIT) + b"\r\n" + octets


def typed_address(address: str, *, is_international: bool = False) -> str:
    """An address with its type: rfc822, or utf-8, as it is or in the form that is safe in seven bits (RFC 6533 section 3)."""
    address = one_line(address)
    if address.isascii():
        return f"rfc822; {address}"
    return "utf-8; " + (address if is_international else _SPECIAL.sub(_escaped, address))


def is_reply(words: str) -> bool:
    """Did an SMTP server say this? True when it begins with a reply code."""
    return _REPLY.match(words) is not None


def _recipient_fields(status: RecipientStatus, *, is_international: bool) -> bytes:
    said = _short if is_international else _seven_bit
    words = one_line(status.diagnostic)
    kind = "smtp" if status.remote_mta and is_reply(words) else "x-mailward"
    digit = _CLASS[status.action]
    enhanced = status.status if _STATUS.fullmatch(status.status) else f"{digit}.0.0"
    kind_of_address, _, address = status.original_recipient.partition(";")
    values = {
        "Original-Recipient": one_line(f"{kind_of_address}; {address}") if address.strip() else "",
        "Final-Recipient": typed_address(status.final_recipient, is_international=is_international),
        "Action": status.action,
        "Status": enhanced,
        "Remote-MTA": f"dns; {said(one_line(status.remote_mta))}" if status.remote_mta else "",
        "Diagnostic-Code": f"{kind}; {said(words)}" if words else "",
        "Last-Attempt-Date": _date(status.last_attempt_at),
        "Will-Retry-Until": _date(status.will_retry_until),
    }
    return b"".join(_field(name, value) for name, value in values.items() if value)


def _field(name: str, value: str) -> bytes:
    """Beyond ASCII it is written as it is, which only an international report has."""
    return fold_field(name, value) if value.isascii() else f"{name}: {value}\r\n".encode()


def _short(text: str) -> str:
    """So that no line of UTF-8 is too long (RFC 5322 section 2.1.1)."""
    return one_line(text, MAX_LINE_UTF8 - 40)


def _header_part(original: bytes) -> bytes:
    """The header block only: a report must not carry a stranger's content to somebody else (RFC 6522 section 4)."""
    kept, size_octets = [], 0
    for field in split_header(original[: header_end(original)])[0]:
        size_octets += len(field)
        if size_octets > MAX_HEADER_OCTETS:
            break
        kept.append(field)
    octets = _NEWLINE.sub(b"\r\n", b"".join(kept))
    if octets and not octets.endswith(b"\r\n"):
        octets += b"\r\n"
    return encoded_part("message/global-headers" if _is_utf8_beyond_ascii(octets) else "text/rfc822-headers", octets)


def _boundaries(message_id: str) -> Iterator[str]:
    """Made from what no writer of the returned message could know, so the first one will do (RFC 2046 section 5.1.1)."""
    for number in count():
        yield f"=_{hashlib.sha256(f'{number} {message_id}'.encode()).hexdigest()[:32]}"


def _whole_part(original: bytes) -> bytes:
    """The message as it came: no transfer encoding may be put around it (RFC 2046 section 5.2.1, RFC 6532 section 3.7)."""
    kind = b"message/global" if _is_utf8_beyond_ascii(original[: header_end(original)]) else b"message/rfc822"
    return b"Content-Type: " + kind + b"\r\n" + (b"" if original.isascii() else EIGHT_BIT) + b"\r\n" + original


def _is_utf8_beyond_ascii(octets: bytes) -> bool:
    try:
        return not octets.isascii() and bool(octets.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _escaped(found: re.Match[str]) -> str:
    return f"\\x{{{ord(found.group()):02X}}}"


def _seven_bit(text: str) -> str:
    return re.sub(r"[^ -~]", _escaped, text)


def _date(moment: datetime | None) -> str:
    return "" if moment is None else format_datetime(moment.astimezone(UTC))
