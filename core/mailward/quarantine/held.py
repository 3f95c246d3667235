"""One entry of the quarantine, as a value and as a row of its index."""

from collections.abc import Container
from dataclasses import dataclass, fields
from typing import Any, Literal

from mailward.api.relaying import Origin
from mailward.model.envelope import Ret
from mailward.model.ids import QueueId


@dataclass(frozen=True, slots=True)
class Held:
    """One message kept for one recipient. held_at: when it was received, kept_at: since when it is kept, "" before it is;
    both ISO 8601 in UTC. reason: in plain words.

    index: the recipient's place in the queue item; copies kept anew have that and a multiple of all recipients, those
    taken out of a mailbox a million and more.

    route: where the forward-path leads, "mailbox", "relay" or "discard"; a release goes there. infected: a scanner said so.
    subject, author: for people; author is who From names, address first. account: whose mailbox it is for, "" for nobody's here.
    verdict: what was decided, as a word of `Verdict`; grounds: all that it rests on, a word of `model.grounds` a line, what
    decided first; cause: the first, by which entries are found; "" where no decision kept it, or nobody knows.
    notify: NOTIFY as RCPT has it, "" when not given; original_recipient: as in `RcptParameters`.
    own_reverse_path, asked: the recipient's, as in `QueuedRecipient`. All else as of the queue item.
    """

    delivery_key: str
    id: QueueId
    index: int
    recipient: str
    reason: str
    held_at: str
    size_octets: int
    route: str = "mailbox"
    reverse_path: str = ""
    subject: str = ""
    infected: bool = False
    origin: Origin = "inbound"
    user: str = ""
    smtputf8: bool = False
    require_tls: bool = False
    ret: Ret = ""
    envelope_id: str = ""
    notify: str = ""
    original_recipient: str = ""
    tls_optional: bool = False
    hold_until: str = ""
    deliver_by: str = ""
    by_mode: Literal["", "R", "N"] = ""
    by_trace: bool = False
    priority: int = 0
    own_reverse_path: str | None = None
    asked: str = ""
    account: str = ""
    author: str = ""
    verdict: str = ""
    cause: str = ""
    grounds: str = ""
    kept_at: str = ""

    def judged_as(self, names: Container[str]) -> str:
        """Under which name it was decided on, of those in the decision record: what an alias led to, under the alias.

        ORCPT is what a client wrote, so it says this only of what an alias led to before `asked` was kept.
        """
        original = self.original_recipient.partition(";")[2]
        is_old = not self.asked and self.recipient not in names and original in names
        return original if is_old else self.asked or self.recipient


COLUMNS = ", ".join("number" if field.name == "index" else field.name for field in fields(Held))
"""Of the index, in the order of the fields; INDEX is a word of SQL."""
MARKS = ", ".join("?" for _ in fields(Held))


def held_of(row: tuple[Any, ...]) -> Held:
    """What a row of these columns says; SQLite knows no truth values."""
    columns = zip(fields(Held), row, strict=True)
    values: dict[str, Any] = {field.name: bool(value) if field.type is bool else value for field, value in columns}
    return Held(**values)
