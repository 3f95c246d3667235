"""A real session as a fixture: what is known of it, its message and the DNS answers, with everybody's names replaced.

What is kept of a message is the copy in a mailbox or in the quarantine; what was put on top of it at delivery is taken off again.
The DNS answers are those of the receipt, where they are kept, and else those of the moment of the recording.
"""

import asyncio
import secrets
from base64 import b64encode
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dkim
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mailward.app.config import Config
from mailward.app.copies import Copies
from mailward.app.scanning import ScanInput, scan
from mailward.decisions import DecisionStore
from mailward.formats.address import parse_mailbox
from mailward.formats.arrived import as_arrived
from mailward.formats.header import FieldView
from mailward.formats.masking import masked
from mailward.formats.message import MessageView
from mailward.formats.pseudonyms import Pseudonyms
from mailward.model.address import ForwardPath, ReversePath
from mailward.model.decision import DecisionRecord
from mailward.model.dns import DnsAnswer, RecordType
from mailward.model.evidence import FactValue
from mailward.model.ids import QueueId
from mailward.model.session import Role, TlsFacts
from mailward.services.noted import NotedResolver
from mailward.services.recorded import RecordedResolver
from mailward.services.resolver import DnsResolver

RECORDING_VERSION = 1

_OWN = frozenset({"return-path", "authentication-results"})
_WORDS = (".result", ".policy", ".status", "tls.version", "listener.name", "message.anomalies", "message.attachment_types")
"""Facts that are words of a standard or of a program, and nobody's."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What goes into the file. differs: facts that were others at receipt, with what DNS says now, masked."""

    data: Mapping[str, Any]
    differs: tuple[str, ...]


def kept_message(config: Config, record: DecisionRecord) -> bytes | None:
    """The message that was judged, as it was received as far as that can be told; None when no copy is here any more."""
    with closing(Copies(config)) as copies, closing(DecisionStore(config.decisions_file)) as decisions:
        receipt = decisions.receipt(record.id)
        for octets in copies.of(record):
            came = receipt and as_arrived(octets, record.size_octets, receipt.header, receipt.whole, receipt.removed)
            return came or _without_trace(octets, record.id)
    return None


def _without_trace(octets: bytes, id: QueueId) -> bytes:
    at = 0
    for one in MessageView(octets).fields:
        name = one.name.lower()
        if name not in _OWN and not (name == "received" and f"id {id}".encode() in one.raw):
            break
        at = one.end
    return octets[at:]


async def recorded(config: Config, record: DecisionRecord, octets: bytes, key: bytes | None = None) -> Recording:
    """The recording of one judged message. key: of the pseudonyms, a fresh one by default. Raises ConfigError."""
    heard: dict[tuple[str, RecordType], DnsAnswer | str] = {}
    with closing(DecisionStore(config.decisions_file)) as decisions:
        receipt = decisions.receipt(record.id)
    answering = RecordedResolver(DnsResolver(config.dns_servers))
    answering.use(receipt.heard if receipt else ())
    hearing = NotedResolver(answering, lambda name, kind, answer: heard.update({(name.rstrip(".").lower(), kind): answer}))
    role = next(role for role in Role if role.value == record.direction)
    session = record.session
    given = ScanInput(
        octets,
        session.get("peer.ip", ""),
        session.get("helo.name") or None,
        ReversePath(parse_mailbox(record.reverse_path) if record.reverse_path else None),
        tuple(ForwardPath(parse_mailbox(one.recipient)) for one in record.recipients if one.recipient),
        TlsFacts(session["tls.version"], "") if session.get("tls.version") else None,
    )
    scanned = await scan(config, given, role=role, resolver=hearing)
    names = Pseudonyms(key or secrets.token_bytes(32), [given.ip] if given.ip else [])
    differs = tuple(
        f"{name} was {_fact(name, value, names)!r} at receipt and is {_fact(name, scanned.record.facts[name], names)!r} now"
        for name, value in record.facts.items()
        if name.endswith(".result") and scanned.record.facts.get(name, value) != value
    )
    zone = {f"{names.domain(name)} {kind}": _answer(found, kind, names) for (name, kind), found in heard.items()}
    passed = record.facts.get("dkim.domains", ())
    message = await asyncio.to_thread(_signed_anew, octets, passed if isinstance(passed, tuple) else (), names, zone)
    data = {
        "version": RECORDING_VERSION,
        "recorded_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "session": {
            "role": role.value,
            "ip": names.ip(given.ip),
            "helo": None if given.helo is None else names.host(given.helo),
            "tls": session.get("tls.version", ""),
            "user": names.mailbox(session["identity.user"]) if session.get("identity.user") else "",
        },
        "envelope": {
            "mail_from": names.mailbox(record.reverse_path) if record.reverse_path else "",
            "rcpt": [names.mailbox(str(path)) for path in given.forward_paths],
        },
        "symbols": sorted({f.symbol for call in record.calls for f in call.findings if f.symbol}),
        "facts": {name: _fact(name, value, names) for name, value in sorted(record.facts.items())},
        "dns": dict(sorted(zone.items())),
        "message": message.decode("latin-1").split("\r\n"),
    }
    return Recording(data, differs)


def _fact(name: str, value: FactValue, names: Pseudonyms) -> object:
    if isinstance(value, tuple):
        return [_fact(name, one, names) for one in value]
    if not isinstance(value, str) or name.endswith(_WORDS) or name in _WORDS:
        return value
    return names.host(value)


def _answer(answer: DnsAnswer | str, kind: RecordType, names: Pseudonyms) -> dict[str, object]:
    if isinstance(answer, str):
        return {"status": "fails"}
    made: dict[str, object] = {"status": answer.status}
    if answer.records:
        made["records"] = [_record(record, kind, names) for record in answer.records]
    if answer.authenticated:
        made["authenticated"] = True
    if answer.canonical_name:
        made["canonical_name"] = names.domain(answer.canonical_name)
    return made


def _record(record: str, kind: RecordType, names: Pseudonyms) -> str:
    if kind == "TLSA":
        return record
    if kind != "TXT":
        return names.structure(record)
    lowered = record.lower()
    if lowered.startswith("v=dkim1") or "p=" in lowered[:40]:
        return record if not lowered.startswith("v=dmarc1") else names.structure(record)
    return names.structure(record) if lowered.startswith("v=") else names.prose(record)


def _signed_anew(octets: bytes, passed: tuple[str, ...], names: Pseudonyms, zone: dict[str, dict[str, object]]) -> bytes:
    """The masked message with a signature of a made-up key for each that held, so that it holds again; the zone gets the keys."""
    signatures = [_tags(one) for one in MessageView(octets).all("DKIM-Signature")]
    held = [tags for tags in signatures if tags.get("d", "").lower() in passed and "s" in tags]
    dropped = [one.raw for one in MessageView(octets).all("DKIM-Signature") if _tags(one) in held]
    for raw in dropped:
        octets = octets.replace(raw, b"", 1)
    message = masked(octets, names)
    for tags in reversed(held):
        key = rsa.generate_private_key(65537, 2048)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        domain, selector = names.domain(tags["d"].lower()), ".".join(map(names.label, tags["s"].lower().split(".")))
        fields = [name.strip().lower().encode() for name in tags.get("h", "from").split(":")]
        present = [
            name for name in dict.fromkeys(fields) if MessageView(message).all(name.decode()) and name != b"dkim-signature"
        ]
        message = dkim.sign(message, selector.encode(), domain.encode(), private, include_headers=present) + message
        zone[f"{selector}._domainkey.{domain} TXT"] = {"status": "found", "records": [f"v=DKIM1; p={_base64(public)}"]}
    return message


def _tags(signature: FieldView) -> dict[str, str]:
    pairs = (tag.partition("=") for tag in signature.value.decode("latin-1").replace("\r\n", "").split(";"))
    return {name.strip(): "".join(value.split()) for name, _, value in pairs}


def _base64(octets: bytes) -> str:
    return b64encode(octets).decode("ascii")
