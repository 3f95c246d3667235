"""A message as people read it in a terminal: decoded fields, the text they would read first, attachments by name only.

Also the other way: a file given on the command line, as the message it stands for.
"""

import sys
from pathlib import Path

from mailward.cli.output import NO_INPUT, fail, tell, warn
from mailward.formats.message import FieldView, MessageView
from mailward.formats.part import PartView
from mailward.formats.text import one_line

MOST_FIELDS = 100
LINE_CHARACTERS = 200


def field_lines(message: MessageView) -> list[str]:
    """The header, one line a field."""
    return [field_line(field) for field in message.fields[:MOST_FIELDS]]


def field_line(field: FieldView) -> str:
    return f"{one_line(field.name)}: {one_line(field.text, LINE_CHARACTERS)}"


def text_lines(message: MessageView) -> list[str]:
    """The text that people would read first, plain text if there is any."""
    texts = sorted(message.texts(), key=lambda text: text.part.content_type != "text/plain")
    return texts[0].text.strip().splitlines() if texts else []


def attachment_line(part: PartView) -> str:
    """With every name that some reader may show (T-MIME-23)."""
    return f"{attachment_names(part) or '(no name)'}  {one_line(part.content_type)}, {part.size_octets} octets"


def attachment_names(part: PartView) -> str:
    """Every name that some reader may show, "" when there is none."""
    return " or ".join(one_line(name, LINE_CHARACTERS) for name in part.filenames)


def message_file(file: str) -> bytes:
    """The octets of a message in a file, "-" for standard input, as SMTP carries them. Says so when it looks like none."""
    try:
        octets = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        fail(f"cannot read {file}: {error.strerror}", NO_INPUT)
    if b"\r\n" not in octets:
        # Files on disk often have LF line ends; a message in SMTP never has.
        if b"\n" in octets:
            tell(f"{file} has LF line ends and is read as SMTP carries it, with CRLF")
        octets = octets.replace(b"\n", b"\r\n")
    message = MessageView(octets)
    if not any(message.all(name) for name in ("From", "Date", "Received", "Message-ID")):
        warn(f"{file} looks like no message: it has no From, Date, Received or Message-ID field")
    return octets
