"""Is a message signed, for which domain, and how? (RFC 6376 section 5)

relaxed/relaxed, so that folding by the core or by a relay does no harm; never l=, which would leave room for additions. Fields
are oversigned: named once more in h= than they occur, so that adding one breaks the signature (RFC 6376 section 8.15).
"""

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from mailward.api import MessageView, Relaying, UnsendableMessage
from mailward_plugins.dkim.keys import DomainKey
from mailward_plugins.dkim.rules import HeaderField, to_crlf, verify_topmost
from mailward_plugins.dkim.safe import canonical_body
from mailward_plugins.dkim.tags import MAX_SIGNED_NAMES, TagError

SIGNATURE_FIELD = "DKIM-Signature"

OVERSIGNED = (
    "From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "MIME-Version",
    "Content-Type", "Content-Transfer-Encoding",
)  # fmt: skip
"""What readers show, sort or decode by, and what stands at most once."""

SIGNED = ("List-Unsubscribe", "List-Unsubscribe-Post", "TLS-Report-Domain", "TLS-Report-Submitter")
"""Signed as often as they occur: readers act on them only when they are signed (RFC 8058 section 4, RFC 8460 section 5.3)."""
MOST_SIGNED = 8
"""Of one name: with more of them (RFC 2369 section 2 allows one) none is signed, and none acted on."""

_BLANKS = re.compile(rb"[ \t]+")
_SIGNATURE_LINE = 70
"""b= is written in pieces of this many characters, so that the field can be folded at 78."""


class SigningError(Exception):
    """Something is wrong with a key or with us; the text says what. What is wrong with a message is UnsendableMessage."""


def author_domain(relaying: Relaying, message: MessageView) -> str | None:
    """The domain in whose name this message may be signed, None for no signature (T-DKIM-15).

    Only what an authenticated user submitted (its right to the author address was checked then) and our own reports. There must
    be one From field with one mailbox: with more, readers differ about whose word the signature stands for.
    """
    ours = relaying.origin == "server" or (relaying.origin == "submission" and relaying.user != "")
    fields = message.all("From")
    if not ours or len(fields) != 1 or fields[0].is_malformed or message.addresses("From").is_malformed:
        return None
    authors = message.authors
    address = authors[0].address if len(authors) == 1 else None
    return address.domain if address is not None else None


def sign(message: MessageView, keys: Sequence[DomainKey], now: datetime, expire_after: timedelta) -> list[str]:
    """The value of one DKIM-Signature field for each key, to be added one above the other, the last one topmost.

    Every signature is verified before it is given away, on the message with the new fields read again (T-DKIM-16). Raises
    SigningError and UnsendableMessage.
    """
    if sum(len(field.raw) for field in message.fields) < len(message.header_octets.rstrip(b"\r\n")):
        raise UnsendableMessage("the header is too large to be signed as a whole")
    body = message.body_octets
    values = signature_values([HeaderField.of(field.raw) for field in message.fields], body, keys, now, expire_after)
    added = b"".join(f"{SIGNATURE_FIELD}: {value}\r\n".encode("ascii") for value in reversed(values))
    signed = MessageView(added + message.header_octets)
    records = [key.private.record for key in reversed(keys)]
    try:
        outcomes = verify_topmost([HeaderField.of(field.raw) for field in signed.fields], body, records)
    except TagError as error:
        raise UnsendableMessage(f"the signature cannot be read back: {error}") from None
    for outcome in outcomes:
        if outcome.result != "pass":
            raise SigningError(f"the signature with {outcome.selector} does not verify: {outcome.reason}")
    return values


def signature_values(
    fields: Sequence[HeaderField], body: bytes, keys: Sequence[DomainKey], now: datetime, expire_after: timedelta
) -> list[str]:
    """The value of one DKIM-Signature field for each key, blanks where it may be folded. expire_after: zero for no x=."""
    body_hash = b64encode(sha256(canonical_body(to_crlf(body))).digest()).decode("ascii")
    names = _names_to_sign(fields)
    signed_at = int(now.timestamp())
    times = f"t={signed_at}; "
    if expire_after:
        times += f"x={signed_at + int(expire_after.total_seconds())}; "
    values = []
    for key in keys:
        value = (
            f"v=1; a={key.private.algorithm}; c=relaxed/relaxed; d={key.domain}; s={key.selector}; {times}"
            f"h={': '.join(names)}; bh={body_hash}; b="
        )
        signature = b64encode(key.private.sign(octets_to_sign(fields, names, value))).decode("ascii")
        lines = [signature[start : start + _SIGNATURE_LINE] for start in range(0, len(signature), _SIGNATURE_LINE)]
        values.append(value + " ".join(lines))
    return values


def _names_to_sign(fields: Sequence[HeaderField]) -> list[str]:
    counts = Counter(field.name for field in fields)
    names = [name for name in OVERSIGNED for _ in range(counts[name.lower().encode("ascii")] + 1)]
    for name in SIGNED:
        if (count := counts[name.lower().encode("ascii")]) <= MOST_SIGNED:
            names += [name] * count
    if len(names) > MAX_SIGNED_NAMES:
        raise UnsendableMessage("it has too many fields of one name to be signed")
    return names


def octets_to_sign(fields: Sequence[HeaderField], names: Sequence[str], value: str) -> bytes:
    """The fields of these names, and the signature's own value with b= empty (RFC 6376 section 3.7).

    Of one name the fields are taken from the bottom up; a name without a field left adds nothing (section 5.4.2).
    """
    left: dict[bytes, list[HeaderField]] = {}
    for field in fields:
        left.setdefault(field.name, []).append(field)
    octets = []
    for name in names:
        same = left.get(name.lower().encode("ascii"))
        if same:
            field = same.pop()
            octets.append(_canonical(field.raw_name, field.value) + b"\r\n")
    return b"".join(octets) + _canonical(SIGNATURE_FIELD.encode("ascii"), value.encode("ascii"))


def _canonical(name: bytes, value: bytes) -> bytes:
    """Relaxed header canonicalisation (RFC 6376 section 3.4.2), without the line end."""
    unfolded = _BLANKS.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ")
    return name.strip(b" \t\r\n").lower() + b":" + unfolded
