"""What can be wrong with a message, so that two readers could take it differently? The catalogue of names.

Policies see the names as `message.anomalies`. A reading that meets one goes on as well as it can; to judge is for others.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["lines", "header", "author", "structure", "content", "budget"]


@dataclass(frozen=True, slots=True)
class Anomaly:
    """kind: what it is about. sentence: for people.

    "structure" and "content" mean that another reader may find other parts, or other octets in a part: AMBIGUOUS_MIME.
    """

    kind: Kind
    sentence: str

    @property
    def hides_content(self) -> bool:
        return self.kind in ("structure", "content")


SINGLETONS = (
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
)
"""RFC 5322 section 3.6: at most one of each."""
MIME_SINGLETONS = (
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-Disposition",
    "Content-ID",
    "Content-Description",
)
"""At most one of each in a part (RFC 2045)."""


def duplicate(name: str) -> str:
    """The anomaly of a field that stands more than once."""
    return f"DUPLICATE_{name.upper().replace('-', '_')}"


ANOMALIES: Mapping[str, Anomaly] = {
    "ADDRESS_IN_NAME": Anomaly("author", "The name of an author shows an address of another domain than the author's"),
    "AMBIGUOUS_BOUNDARY": Anomaly("structure", "Not all readers take the same boundary, or any at all"),
    "AMBIGUOUS_CHARSET": Anomaly("content", "A text says something else in another charset that readers may take it for"),
    "BARE_CR": Anomaly("lines", "A carriage return stands without a line feed behind it"),
    "BARE_LF": Anomaly("lines", "A line feed stands without a carriage return before it"),
    "BOUNDARY_WITHOUT_MULTIPART": Anomaly("structure", "A part that is no multipart has a boundary"),
    "BROKEN_BASE64": Anomaly("content", "A body in base64 holds what base64 does not allow"),
    "BROKEN_QUOTED_PRINTABLE": Anomaly("content", "A body in quoted-printable holds what that encoding does not allow"),
    "CONTROL_IN_WORDS": Anomaly("header", "A name or a Subject holds control characters, encoded or not"),
    "DELIMITER_WITH_JUNK": Anomaly("structure", "A delimiter line goes on after the boundary"),
    "DUPLICATE_PARAMETER": Anomaly("structure", "A parameter is given twice with different values"),
    "ENCODED_MESSAGE": Anomaly("content", "An attached message has a transfer encoding"),
    "ENCODED_MULTIPART": Anomaly("structure", "A multipart has a transfer encoding"),
    "FIELD_TOO_BIG": Anomaly("budget", "A header field has more than 64 KiB"),
    "FIELDS_IN_BODY": Anomaly("structure", "A body begins with fields that belong to a header"),
    "FROM_AMBIGUOUS": Anomaly("author", "Readers could find authors of different domains in From"),
    "HEADER_8BIT": Anomaly("header", "The header holds octets that are not ASCII"),
    "HEADER_BLOCK_TOO_BIG": Anomaly("budget", "A header block has more than 256 KiB"),
    "HEADER_WITHOUT_END": Anomaly("structure", "A delimiter stands where the header of a part goes on"),
    "HIDDEN_MIME_FIELD": Anomaly("structure", "A line that is no field may be one of MIME to some reader"),
    "INVISIBLE_IN_WORDS": Anomaly("header", "A name or a Subject holds characters that cannot be seen or turn its direction"),
    "INLINE_FILE": Anomaly("content", "A file stands in the text itself, as uuencode, yEnc or BinHex"),
    "LEADING_CONTINUATION": Anomaly("header", "The first line of the header continues no field"),
    "MALFORMED_CONTENT_TYPE": Anomaly("structure", "A Content-Type does not simply name a media type"),
    "MALFORMED_DATE": Anomaly("header", "The Date is not what RFC 5322 allows"),
    "MALFORMED_ENCODING": Anomaly("content", "A Content-Transfer-Encoding is not simply one of the five"),
    "MALFORMED_FIELD": Anomaly("header", "A line of the header is no field"),
    "MALFORMED_FROM": Anomaly("author", "The From field is not what RFC 5322 allows"),
    "MALFORMED_PARAMETER": Anomaly("header", "A parameter is not what RFC 2045 allows"),
    "MIME_DEEP": Anomaly("budget", "Parts are nested more than 32 deep"),
    "MIME_PARTS": Anomaly(
        "budget", "There are more parts than are read: 2,000, in a small message 100 and one for each 500 octets"
    ),
    "MISSING_FROM": Anomaly("author", "No mailbox is named as author"),
    "MULTIPART_WITHOUT_BOUNDARY": Anomaly("structure", "A multipart names no boundary"),
    "MULTIPART_WITHOUT_PARTS": Anomaly("structure", "A multipart has no part"),
    "MULTIPLE_FROM_DOMAINS": Anomaly("author", "The authors' addresses are of several domains"),
    "NESTED_BOUNDARY": Anomaly("structure", "A boundary begins like that of a multipart around it"),
    "NUL": Anomaly("lines", "The message holds a NUL octet"),
    "PART_OUTSIDE": Anomaly("structure", "What looks like a part stands before the first or behind the last delimiter"),
    "PARTS_AFTER_CLOSE": Anomaly("structure", "Parts go on after the close delimiter"),
    "PARTIAL_MESSAGE": Anomaly("content", "The content is in several messages, or not in the message at all"),
    "SPLIT_WORD": Anomaly("structure", "A comment stands inside a word, which only some readers put together"),
    "TEXT_TOO_BIG": Anomaly("budget", "A text has more than 16 MiB"),
    "TOO_MANY_ADDRESSES": Anomaly("budget", "From names more than 2,000 mailboxes"),
    "TOO_MANY_FIELDS": Anomaly("budget", "A header has more than 1,000 fields"),
    "TOO_MANY_LINKS": Anomaly("budget", "There are more than 2,000 links"),
    "TOO_MANY_PARAMETERS": Anomaly("budget", "A field has more parameters, or readings of them, than are kept"),
    "TOO_MANY_WORDS": Anomaly("budget", "A name or a Subject has more than 5,000 encoded-words"),
    "UNCLOSED_MULTIPART": Anomaly("structure", "A multipart has no close delimiter"),
    **{duplicate(name): Anomaly("author" if name == "From" else "header", f"There are several {name}") for name in SINGLETONS},
    **{duplicate(name): Anomaly("structure", f"{name} is given more than once in one part") for name in MIME_SINGLETONS},
}
"""Everything odd that a message can have, by its name; docs/reference/anomalies.md has them all."""


_STRUCTURE_BEYOND = frozenset({"BARE_CR", "FIELD_TOO_BIG", "HEADER_BLOCK_TOO_BIG", "MIME_DEEP", "MIME_PARTS"}) | frozenset(
    {"TOO_MANY_FIELDS", "TOO_MANY_PARAMETERS"}
)
"""Beside what hides content: because of these a reader may go on where we stop."""


def hide_content(names: Iterable[str]) -> tuple[str, ...]:
    """Those of the names because of which another reader may find other content, in their order."""
    return tuple(name for name in names if ANOMALIES[name].hides_content)


def is_suspicious(names: Iterable[str]) -> bool:
    """Other readings are worth the search: another reader may find other octets in a part, read on where we stop, or end lines
    elsewhere."""
    return any(name in _STRUCTURE_BEYOND or (ANOMALIES[name].hides_content and name != "AMBIGUOUS_CHARSET") for name in names)
