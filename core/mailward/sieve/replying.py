"""How are the messages written that a script sends? Of vacation (RFC 5230 section 5), of notify (RFC 5436).

Both tell that a machine wrote them, so that no other answers (RFC 3834 section 5). They go out from the null reverse-path.
"""

import re
from datetime import datetime
from email.utils import format_datetime

from mailward.formats.address_lists import read_address_list
from mailward.formats.header import split_header
from mailward.formats.mailboxes import Mailbox
from mailward.formats.message import MessageView
from mailward.formats.text import one_line
from mailward.formats.words import encode_words
from mailward.formats.writing import fold_field, text_part
from mailward.sieve.actions import Notify, Vacation

_PLAIN_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_NEWLINE = re.compile(r"\r\n|\r|\n")
_SUBJECT_CHARACTERS = 256
_MOST_REFERENCES = 20
_PRIORITY = {"1": ("1 (Highest)", "High"), "2": ("3 (Normal)", "Normal"), "3": ("5 (Lowest)", "Low")}
"""RFC 5436 section 2.7.2: what readers know of importance."""


def vacation_message(vacation: Vacation, message_id: str, at: datetime) -> bytes:
    """The reply. message_id: with its angle brackets."""
    references = [*vacation.references, vacation.in_reply_to] if vacation.in_reply_to else []
    head = [
        *_origin(vacation.sender, [("To", str(vacation.recipient))], vacation.subject, message_id, at),
        *([fold_field("In-Reply-To", one_line(vacation.in_reply_to, 900))] if vacation.in_reply_to else []),
        *([fold_field("References", " ".join(references[-_MOST_REFERENCES:]))] if references else []),
        fold_field("Auto-Submitted", "auto-replied (vacation)"),
        fold_field("Precedence", "bulk"),
        fold_field("MIME-Version", "1.0"),
    ]
    if vacation.is_mime:
        return b"".join(head) + _mime_part(_NEWLINE.sub("\r\n", vacation.text).encode("utf-8", "replace"))
    return b"".join(head) + text_part(vacation.text)


def _mime_part(octets: bytes) -> bytes:
    """The part, with what its header says of the content alone: another From would be another author (RFC 5230 section 4.5)."""
    view = MessageView(octets)
    fields, empty_line = split_header(view.header_octets)
    kept = [raw for raw in fields if raw[:8].lower() == b"content-"]
    return b"".join((*kept, empty_line or b"\r\n", view.body_octets))


def notify_message(notify: Notify, message_id: str, at: datetime) -> bytes:
    """The notification that a mailto: method sends."""
    recipients = [(name, ", ".join(found)) for name, found in (("To", notify.to), ("Cc", notify.cc)) if found]
    priority, importance = _PRIORITY[notify.importance]
    subject = notify.subject
    if len(subject) > _SUBJECT_CHARACTERS:
        subject = subject[: _SUBJECT_CHARACTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return b"".join(
        (
            *_origin(notify.sender, recipients, subject, message_id, at),
            *(fold_field(name, value) for name, value in notify.fields),
            fold_field("Auto-Submitted", f'auto-notified; owner-email="{notify.owner}"' if notify.owner else "auto-notified"),
            fold_field("Precedence", "bulk"),
            fold_field("X-Priority", priority),
            fold_field("Importance", importance),
            fold_field("MIME-Version", "1.0"),
            text_part(notify.text),
        )
    )


def _origin(sender: str, recipients: list[tuple[str, str]], subject: str, message_id: str, at: datetime) -> list[bytes]:
    return [
        fold_field("X-Sieve", "Mailward"),
        fold_field("Message-ID", message_id),
        fold_field("Date", format_datetime(at)),
        *([address_field("From", sender)] if sender else []),
        *(address_field(name, value) for name, value in recipients),
        fold_field("Subject", subject) if "=?" not in subject else b"Subject: " + _ascii(subject) + b"\r\n",
    ]


def _ascii(text: str) -> bytes:
    """Text that holds encoded-words of the script's author, which stay; what else is not ASCII becomes some, too."""
    return " ".join(word if word.isascii() else " ".join(encode_words(word)) for word in one_line(text).split(" ")).encode(
        "ascii"
    )


def address_field(name: str, value: str) -> bytes:
    """A field of addresses, their names encoded where they are not ASCII; what is no address is left out."""
    found = [written for m in read_address_list(value.encode("utf-8", "replace")).mailboxes if (written := _mailbox(m))]
    return f"{name}: ".encode("ascii") + ",\r\n ".join(found).encode("utf-8") + b"\r\n"


def _mailbox(mailbox: Mailbox) -> str:
    if mailbox.address is None:
        return ""
    name = one_line(mailbox.display_name, _SUBJECT_CHARACTERS)
    if not name:
        return str(mailbox.address)
    if not name.isascii():
        name = "\r\n ".join(encode_words(name))
    elif not _PLAIN_PHRASE.fullmatch(name):
        name = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{name} <{mailbox.address}>"
