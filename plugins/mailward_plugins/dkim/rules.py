"""Which signatures of a message hold? (RFC 6376 section 6, RFC 8301, RFC 8463)

Keys are fetched first, all at once and under one limit; the hashing then runs in one blocking call, by dkimpy's machine
for header selection and canonicalisation.
"""

import asyncio
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import dkim

from mailward.api import DnsTemporaryError, Resolver
from mailward_plugins.dkim.settings import DkimSettings
from mailward_plugins.dkim.tags import Key, Signature, TagError, parse_key, parse_signature

SINGLETONS = frozenset(
    b"from sender reply-to to cc subject date message-id in-reply-to references mime-version content-type "
    b"content-transfer-encoding".split()
)
"""Fields a message may hold once (RFC 5322 section 3.6, RFC 2045): one more than was signed is an addition by somebody else."""

_SIGNATURE_FIELD = b"dkim-signature"
_BARE_LF = re.compile(rb"(?<!\r)\n")


@dataclass(frozen=True, slots=True)
class HeaderField:
    """name: in lower case, without blanks. raw_name and value: octets left and right of the colon, line ends included."""

    name: bytes
    raw_name: bytes
    value: bytes

    @classmethod
    def of(cls, raw: bytes) -> "HeaderField":
        """The field in these octets; one without a colon has an empty value."""
        name, _, value = raw.partition(b":")
        return cls(name.strip(b" \t\r\n").lower(), name, to_crlf(value))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one signature. result: an RFC 8601 word. signature: None when it could not be parsed.

    domain, selector: "" when unreadable. reason: "" for a plain pass. bits: size of the key, 0 when none was used.
    """

    result: str
    domain: str = ""
    selector: str = ""
    reason: str = ""
    signature: Signature | None = None
    bits: int = 0
    is_test: bool = False


@dataclass(frozen=True, slots=True)
class _Candidate:
    position: int
    field: HeaderField
    signature: Signature
    key: Key | None = None
    failure: Outcome | None = None


async def verify(
    fields: Sequence[HeaderField],
    body: bytes | memoryview,
    author_domains: Sequence[str],
    resolver: Resolver,
    run: Callable[[Callable[[], list[Outcome]]], Awaitable[list[Outcome]]],
    now: datetime,
    settings: DkimSettings,
) -> list[Outcome]:
    """One outcome for each DKIM-Signature field, in the order of checking: signatures of the author's domain first.

    run: awaits a blocking function (services.run_blocking). More than `settings.max_signatures` are named, not checked.
    """
    outcomes: list[Outcome] = []
    candidates: list[_Candidate] = []
    for position, header_field in enumerate(fields):
        if header_field.name != _SIGNATURE_FIELD:
            continue
        try:
            candidates.append(_Candidate(position, header_field, parse_signature(header_field.value)))
        except TagError as error:
            outcomes.append(Outcome("permerror", error.domain, error.selector, str(error)))
    candidates.sort(key=lambda candidate: not _is_related(candidate.signature.domain, author_domains))
    checked, rest = candidates[: settings.max_signatures], candidates[settings.max_signatures :]
    keyed = await _fetch_keys([_judge_times(candidate, now, settings) for candidate in checked], resolver, settings)
    verified = await run(lambda: _verify_all(fields, body, keyed))
    unchecked = [_outcome(candidate.signature, "policy", "not checked: too many signatures") for candidate in rest]
    return verified + outcomes + unchecked


def verify_topmost(fields: Sequence[HeaderField], body: bytes, records: Sequence[str]) -> list[Outcome]:
    """One outcome for each of the first fields, which must be signatures: as many as there are key records, in their order.

    Raises TagError for what is no signature, or no key for it.
    """
    candidates = []
    for position, record in enumerate(records):
        signature = parse_signature(fields[position].value)
        candidates.append(_Candidate(position, fields[position], signature, parse_key((record,), signature)))
    return _verify_all(fields, body, candidates)


def _is_related(domain: str, author_domains: Sequence[str]) -> bool:
    return any(domain == author or domain.endswith("." + author) or author.endswith("." + domain) for author in author_domains)


def _outcome(signature: Signature, result: str, reason: str = "", key: Key | None = None) -> Outcome:
    bits, is_test = (key.bits, key.is_test) if key else (0, False)
    return Outcome(result, signature.domain, signature.selector, reason, signature, bits, is_test)


def _judge_times(candidate: _Candidate, now: datetime, settings: DkimSettings) -> _Candidate:
    """RFC 6376 section 3.5: x= is honoured, a signature from the future is none."""
    signature, now_s, jitter_s = candidate.signature, now.timestamp(), settings.clock_jitter.total_seconds()
    if signature.expires_at is not None and now_s > signature.expires_at + jitter_s:
        return replace(candidate, failure=_outcome(signature, "fail", "signature expired"))
    if signature.signed_at is not None and now_s < signature.signed_at - jitter_s:
        return replace(candidate, failure=_outcome(signature, "permerror", "signature of the future"))
    return candidate


async def _fetch_keys(candidates: list[_Candidate], resolver: Resolver, settings: DkimSettings) -> list[_Candidate]:
    """The candidates with key or failure; those of one key name share a question."""
    deadline = asyncio.get_running_loop().time() + settings.time_limit.total_seconds()

    async def fetch(candidate: _Candidate) -> _Candidate:
        signature = candidate.signature
        if candidate.failure is not None:
            return candidate
        try:
            async with asyncio.timeout_at(deadline):
                answer = await resolver.resolve(signature.key_name, "TXT")
            return replace(candidate, key=parse_key(answer.records, signature))
        except (TimeoutError, DnsTemporaryError):
            return replace(candidate, failure=_outcome(signature, "temperror", "the key could not be fetched"))
        except TagError as error:
            return replace(candidate, failure=_outcome(signature, "permerror", str(error)))

    return list(await asyncio.gather(*(fetch(candidate) for candidate in candidates)))


def _verify_all(fields: Sequence[HeaderField], body: bytes | memoryview, candidates: Sequence[_Candidate]) -> list[Outcome]:
    octets = to_crlf(bytes(body)) if any(candidate.key for candidate in candidates) else b""
    outcomes = []
    for candidate in candidates:
        if candidate.failure is not None:
            outcomes.append(candidate.failure)
        elif candidate.key is not None:
            outcomes.append(_verify_one(fields, octets, candidate, candidate.key))
    return outcomes


def _verify_one(fields: Sequence[HeaderField], body: bytes, candidate: _Candidate, key: Key) -> Outcome:
    signature = candidate.signature
    covered = len(body)
    if signature.body_octets is not None:
        policy = dkim.CanonicalizationPolicy.from_c_value(signature.canonicalization.encode())
        covered = len(policy.canonicalize_body(body))
        if signature.body_octets > covered:
            return _outcome(signature, "permerror", "l= is beyond the end of the body", key)
    try:
        holds = _machine(fields, body, candidate, key)
    except Exception as error:  # noqa: BLE001 - dkimpy leaks many kinds; none of them is a reason to believe a signature
        return _outcome(signature, "permerror", f"not verifiable ({type(error).__name__})", key)
    if holds is not None:
        # RFC 6376 section 3.6.1: mail of a signer who is testing is treated like unsigned mail.
        return _outcome(signature, "neutral" if key.is_test else "fail", holds, key)
    if signature.body_octets is not None and signature.body_octets < covered:
        return _outcome(signature, "policy", f"covers {signature.body_octets} of {covered} octets of the body", key)
    added = _added_field(fields, signature)
    if added is not None:
        return _outcome(signature, "policy", f"an unsigned {added.decode('ascii', 'replace')} field was added", key)
    return _outcome(signature, "pass", "", key)


def _machine(fields: Sequence[HeaderField], body: bytes, candidate: _Candidate, key: Key) -> str | None:
    """None when hash and signature hold, else why not."""
    signature = candidate.signature
    machine = dkim.DKIM(minkey=0)
    # A signature does not cover itself; dkimpy would count it among the fields that h= may name.
    machine.headers = [
        (header_field.raw_name, header_field.value)
        for position, header_field in enumerate(fields)
        if position != candidate.position
    ]
    machine.body = body
    machine.pk, machine.keysize, machine.ktag, machine.seqtlsrpt = key.key, key.bits, key.type.encode(), False
    tags = {
        b"a": signature.algorithm.encode(),
        b"c": signature.canonicalization.encode(),
        b"bh": b64encode(signature.body_hash),
        b"b": b64encode(signature.signature),
    }
    if signature.body_octets is not None:
        tags[b"l"] = str(signature.body_octets).encode()
    header_field = candidate.field
    try:
        holds = machine.verify_sig_process(tags, list(signature.field_names), (header_field.raw_name, header_field.value), None)
    except dkim.ValidationError:
        return "body hash did not verify"
    return None if holds else "signature did not verify"


def _added_field(fields: Sequence[HeaderField], signature: Signature) -> bytes | None:
    """A field that may stand once, was signed, and stands more often than was signed (RFC 6376 section 8.15)."""
    for name in SINGLETONS.intersection(signature.field_names):
        if sum(header_field.name == name for header_field in fields) > signature.field_names.count(name):
            return name
    return None


def to_crlf(octets: bytes) -> bytes:
    """With CRLF line ends (RFC 6376 section 5.3); mail that goes by SMTP has no others."""
    return octets if octets.count(b"\n") == octets.count(b"\r\n") else _BARE_LF.sub(b"\r\n", octets)
