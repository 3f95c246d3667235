"""What does the owner of a script hear when it goes wrong? One plain message for each script and mistake."""

from datetime import datetime
from email.utils import format_datetime

from mailward.formats.text import one_line
from mailward.formats.writing import fold_field, text_part
from mailward.model.address import Address


def notice(owner: Address, script: str, problem: str, subject: str, at: datetime, id: str) -> bytes:
    """The message, CRLF line ends. subject: of the mail that was met. at: aware. id: unique, for the Message-ID."""
    text = "\n".join(
        [
            f"Your filter {one_line(script)} could not be carried out for mail to you:",
            "",
            f"  {one_line(problem, 500)}",
            "",
            f'The mail is in your mailbox as if there were no filter. Its subject is "{one_line(subject, 70)}".',
            "Other mail is kept so too where the filter meets the same, and you are not told again until you change it.",
            "",
        ]
    )
    return b"".join(
        [
            fold_field("From", f"Mail filter <postmaster@{owner.domain}>"),
            f"To: <{owner}>\r\n".encode(),  # RFC 6532: an internationalized address has no form in ASCII
            fold_field("Subject", "Your mail filter has a mistake"),
            fold_field("Date", format_datetime(at)),
            fold_field("Message-ID", f"<{id}.filter@{owner.domain}>"),
            fold_field("Auto-Submitted", "auto-generated"),  # RFC 3834 section 5
            fold_field("MIME-Version", "1.0"),
            text_part(text),
        ]
    )
