"""What is a user told of mail that was kept from him? One plain message about what is new, and nothing in it to click on.

Subjects and names are strangers' text that a user reads in a message he trusts. So each stands on one line behind a word of
ours, short, without what acts or hides, and no mail program finds a link in it; and mail with malware is counted only, since its
subject was made to be opened. What is released goes by an administrator's word, never by a link that anybody may follow.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from email.utils import format_datetime

from mailward.delivery.expiring import expires_at
from mailward.directory import Account
from mailward.formats.text import one_line, unlinked
from mailward.formats.writing import fold_field, text_part
from mailward.model.grounds import in_words
from mailward.model.ids import queue_id_for
from mailward.quarantine import Held, News, Portion, UsersRelease

MOST_LISTED = 50
SHOWN_CHARACTERS = 70
"""Of a subject or a name: one line in most mail programs."""
REASON_CHARACTERS = 150
_ADDRESS = re.compile(r'("(?:[^"\\]|\\.)*"|[^\s@"]+)@(\S+)')


@dataclass(frozen=True, slots=True)
class DigestWriter:
    """Writes the digests of a server. kept_s: as in the configuration. zone: whose times are written, None for the machine's."""

    hostname: str
    kept_s: float
    users_release: UsersRelease
    zone: tzinfo | None = None

    def write(self, account: Account, portion: Portion, news: News, at: datetime) -> bytes:
        """The message, CRLF line ends. at: aware."""
        domain = account.address.domain
        return b"".join(
            [
                fold_field("From", f"Mail quarantine <postmaster@{domain}>"),
                # RFC 6532: an internationalized address has no form in ASCII; all others are ASCII.
                f"To: <{account.address}>\r\n".encode(),
                fold_field("Subject", f"Quarantine: {_counted(news.total + news.infected, 'message')} kept from your mailbox"),
                fold_field("Date", format_datetime(at.astimezone(self.zone))),
                fold_field("Message-ID", f"<{queue_id_for(portion.key)}.quarantine@{domain}>"),
                fold_field("Auto-Submitted", "auto-generated"),  # RFC 3834 section 5
                fold_field("MIME-Version", "1.0"),
                text_part(self.text(account, news)),
            ]
        )

    def text(self, account: Account, news: News) -> str:
        """What it says, LF line ends."""
        lines = [
            f"This is the mail server {self.hostname}. Since its last list it has kept",
            f"{_counted(news.total + news.infected, 'message')} from your mailbox.",
        ]
        for held in news.newest:
            lines += ["", *self._entry(account, held)]
        if news.total > len(news.newest):
            lines += ["", f"and {news.total - len(news.newest)} more."]
        if news.infected:
            lines += ["", f"Malware: {_counted(news.infected, 'message')}, not shown here; administrators can look."]
        return "\n".join([*lines, "", *_advice(account), ""])

    def _entry(self, account: Account, held: Held) -> list[str]:
        why_not = self.users_release.why_not(held, account.id)
        said = f"an administrator decides ({why_not})" if why_not else "as you wish"
        expires = expires_at(held, self.kept_s).astimezone(self.zone)
        return [
            f"  From:      {_shown_author(held.author or held.reverse_path) or '(nobody)'}",
            f"  Subject:   {_shown(held.subject) or '(none)'}",
            f"  Received:  {_spoken(datetime.fromisoformat(held.held_at).astimezone(self.zone))}",
            f"  Kept:      {_why(held)}",
            f"  Expires:   {expires:%d %B %Y}".replace("  0", "  "),
            f"  Release:   {said}",
            f"  Number:    {held.delivery_key}",
        ]


def _advice(account: Account) -> Sequence[str]:
    return (
        "You need not do anything: what you do not want is deleted on the day that it expires.",
        f"To have a message released, write its number to postmaster@{account.address.domain}.",
        "There are no links in this message; one that looks like it and has some is not from this server.",
    )


def _why(held: Held) -> str:
    """Which rule, check or score; else the reason in words, of which strangers may have written some."""
    if not held.cause:
        return unlinked(one_line(held.reason, REASON_CHARACTERS))
    return f"by {one_line(in_words(held.cause), REASON_CHARACTERS)}"


def _shown_author(text: str) -> str:
    """A stranger chooses how long the local-part is, which must not push the domain off the line."""
    line = one_line(text, max(len(text), SHOWN_CHARACTERS))
    found = _ADDRESS.match(line)
    if found is None or found.end() <= SHOWN_CHARACTERS:
        return _shown(text)
    return unlinked(f"{one_line(found[1], SHOWN_CHARACTERS // 3)}@{found[2][-SHOWN_CHARACTERS:]}")


def _shown(text: str) -> str:
    return unlinked(one_line(text, SHOWN_CHARACTERS))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _spoken(moment: datetime) -> str:
    return f"{moment:%d %B %Y at %H:%M %Z}".lstrip("0")
