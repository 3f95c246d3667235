"""A queue item: the envelope, verdict and edits of one accepted message, as written beside its octets.

The form on disk is one line of JSON with a version; a newer version is refused, so that an older release never
misreads mail (docs/decisions).
"""

import json
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, get_args

import msgspec

from mailward.api.relaying import Origin
from mailward.formats.mailbox_names import INBOX
from mailward.model.decision import DecisionRecord
from mailward.model.edits import RecordedEdit
from mailward.model.envelope import RcptParameters, Ret
from mailward.model.ids import QueueId
from mailward.model.verdict import Verdict
from mailward.queue.record import NewerVersion

ITEM_VERSION = 8
"""2 adds user and origin, and a recipient's destination; 3 edits of one field and of parts; 4 what MAIL and RCPT said of reports
(RFC 3461) and of TLS (RFC 8689); 5 when it is to go (RFC 4865, 2852, 6710); 6 a reverse-path of a recipient's own; 7 the address
that was asked for, the route "expanded", and "server" for the origin "report"; 8 whether plugins choose a recipient's
folder, which the decision record says of items before. Items of 1 to 7 are read."""

JUNK_FOLDER = "Junk"
"""As a recipient's folder: the account's own mailbox for junk, whatever that is called by now (special use \\Junk, RFC 6154)."""

_EDIT_KINDS = {kind.__name__: kind for kind in get_args(RecordedEdit)}


@dataclass(frozen=True, slots=True)
class QueuedRecipient:
    """What is to be done for one forward-path.

    route: "mailbox" (account's mailbox `folder`, see JUNK_FOLDER), "relay" (to another server), "quarantine", "discard" (keeps
    nothing), or "expanded": an alias that led to others of the recipients, of which the sender is to hear.
    edits: this recipient's own, applied after the item's common ones. reason: for the quarantine, in plain words.
    destination: the route that the forward-path has without the verdict; a release from the quarantine takes it.
    parameters: what RCPT said of reports. reverse_path: what its copy has instead of the item's; None for that.
    asked: the address that RCPT named, where an alias led from there to here; "" where none did.
    sortable: plugins may choose another folder, since the policy accepted it for this mailbox and no rule named one.
    """

    forward_path: str
    route: str
    account: str = ""
    folder: str = INBOX
    flags: tuple[str, ...] = ()
    edits: tuple[RecordedEdit, ...] = ()
    reason: str = ""
    destination: str = "mailbox"
    parameters: RcptParameters = field(default_factory=RcptParameters)
    reverse_path: str | None = None
    asked: str = ""
    sortable: bool = False


@dataclass(frozen=True, slots=True)
class QueueItem:
    """One accepted message. trace: the fields we put on top (Received, Authentication-Results), CRLF line ends, as text.

    received_at: ISO 8601 in UTC. edits: hold for every recipient and refer to the message as received. origin: as in
    `api.relaying`. user: the address of the account that submitted it, "" for none. ret, envelope_id,
    require_tls: as in `MailParameters`. tls_optional: as in `api.relaying`.
    hold_until: ISO 8601 in UTC, no delivery begins before; "" for at once.
    deliver_by: ISO 8601 in UTC, "" for no such moment; what is late comes back (by_mode "R"), or its sender hears of it ("N");
    by_trace: and of relaying (RFC 2852). priority: before mail of lower ones (RFC 6710).
    """

    id: QueueId
    received_at: str
    reverse_path: str
    size_octets: int
    trace: str
    edits: tuple[RecordedEdit, ...]
    recipients: tuple[QueuedRecipient, ...]
    decision: DecisionRecord
    smtputf8: bool = False
    origin: Origin = "inbound"
    user: str = ""
    ret: Ret = ""
    envelope_id: str = ""
    require_tls: bool = False
    tls_optional: bool = False
    hold_until: str = ""
    deliver_by: str = ""
    by_mode: Literal["", "R", "N"] = ""
    by_trace: bool = False
    priority: int = 0
    version: int = field(default=ITEM_VERSION)

    @property
    def available_at(self) -> datetime:
        """From when on it may be delivered: received, and released by its sender (RFC 4865)."""
        received_at = datetime.fromisoformat(self.received_at)
        return max(received_at, datetime.fromisoformat(self.hold_until)) if self.hold_until else received_at

    @property
    def returns_at(self) -> datetime | None:
        """From when on it is not delivered any more, but goes back to its sender; None for no such moment (RFC 2852)."""
        return datetime.fromisoformat(self.deliver_by) if self.by_mode == "R" else None

    def reverse_path_of(self, index: int) -> str:
        """What the copy for this recipient has, "" for the null reverse-path."""
        own = self.recipients[index].reverse_path
        return self.reverse_path if own is None else own

    def to_json(self) -> str:
        """One line."""
        try:
            octets = _ENCODER.encode(_to_raw(self))
        except UnicodeEncodeError:  # half a surrogate pair, which only an escape can write
            octets = b"\xff"
        return octets.decode("ascii") if octets.isascii() else _ASCII_ENCODER.encode(_to_raw(self))

    @classmethod
    def from_json(cls, text: str) -> "QueueItem":
        """What `to_json` wrote. Raises ValueError for a newer version, KeyError or TypeError for anything else."""
        raw: dict[str, Any] = _loaded(text)
        version = raw.pop("version", None)
        if version not in range(1, ITEM_VERSION + 1):
            raise ValueError(f"queue item of version {version}, this release reads 1 to {ITEM_VERSION}")
        if raw.get("origin") == "report":
            raw["origin"] = "server"
        raw["edits"] = tuple(_edit_from_raw(e) for e in raw["edits"])
        raw["recipients"] = tuple(_recipient_from_raw(r) for r in raw["recipients"])
        raw["decision"] = DecisionRecord.from_raw(raw["decision"])
        if version < 8:
            raw["recipients"] = _sortable_by_record(raw["recipients"], raw["decision"])
        return cls(**raw)


def id_and_routes(text: str) -> tuple[QueueId, list[str]]:
    """Of what `to_json` wrote, what a start must know of a million items: the id, and the route of each recipient.

    Raises NewerVersion, and ValueError, KeyError or TypeError for anything else.
    """
    at = text.find(_RECIPIENTS)
    if at < 0 or not text.startswith(_ID) or not text.endswith(_VERSION):  # written by another release
        raw = _decode(text)[0]
        if raw["version"] > ITEM_VERSION:
            raise NewerVersion(f"queue item of version {raw['version']}; this release reads version {ITEM_VERSION}")
        return raw["id"], [recipient["route"] for recipient in raw["recipients"]]
    # Within a string a quote has a backslash before it, and of all fields before the recipients none has a field of this name.
    recipients = _decode(text, at + len(_RECIPIENTS) - 1)[0]
    return QueueId(text[len(_ID) : text.index('"', len(_ID))]), [recipient["route"] for recipient in recipients]


def _to_raw(item: QueueItem) -> dict[str, object]:
    """What is written: its fields as they are, but edits, which say of what kind they are."""
    raw = _fields(item)
    raw["edits"] = [_edit_to_raw(edit) for edit in item.edits]
    raw["recipients"] = [
        {**_fields(one), "edits": [_edit_to_raw(edit) for edit in one.edits]} if one.edits else one for one in item.recipients
    ]
    return raw


def _edit_to_raw(edit: RecordedEdit) -> dict[str, object]:
    return {"kind": type(edit).__name__, **_fields(edit)}


def _fields(value: object) -> dict[str, object]:
    return {name: getattr(value, name) for name in value.__slots__}  # type: ignore[attr-defined]


def _loaded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:  # which has no words for half a surrogate pair
        return json.loads(text)


_ID = '{"id":"'
_RECIPIENTS = ',"recipients":['
_VERSION = f',"version":{ITEM_VERSION}}}'
_decode = json.JSONDecoder().raw_decode
_ENCODER = msgspec.json.Encoder()
_ASCII_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, default=msgspec.to_builtins)


def _recipient_from_raw(raw: dict[str, Any]) -> QueuedRecipient:
    said = raw.get("parameters", {})
    values = {
        "flags": tuple(raw["flags"]),
        "edits": tuple(_edit_from_raw(e) for e in raw["edits"]),
        "parameters": RcptParameters(**{**said, "notify": tuple(said.get("notify", ()))}),
    }
    return QueuedRecipient(**{**raw, **values})


def _sortable_by_record(recipients: Iterable[QueuedRecipient], decision: DecisionRecord) -> tuple[QueuedRecipient, ...]:
    free = {one.recipient for one in decision.recipients if one.verdict == Verdict.ACCEPT.value and not one.folder}
    return tuple(replace(one, sortable=one.route == "mailbox" and (one.asked or one.forward_path) in free) for one in recipients)


def _edit_from_raw(raw: dict[str, Any]) -> RecordedEdit:
    values = dict(raw)
    if "content" in values:
        values["content"] = b64decode(values["content"], validate=True)
    edit: RecordedEdit = _EDIT_KINDS[values.pop("kind")](**values)
    return edit
