"""DKIM beyond the vectors: what hostile signers, keys and later hands do to a signature made by dkimpy itself."""

import contextlib
import time
import tracemalloc
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from dkim.canonicalization import Simple
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from mailward.api import DnsAnswer, MessageView, RecordType
from mailward_plugins.dkim import inspect_message
from mailward_plugins.dkim.rules import Outcome, verify
from mailward_plugins.dkim.safe import canonical_body
from mailward_plugins.dkim.settings import DkimSettings
from mailward_plugins.dkim.tags import TagError, parse_signature
from support.fake_dns import TIMEOUT, FakeDns
from support.mail import split
from support.plugin_services import services

MESSAGE = (
    b"From: Ann <ann@legit.test>\r\nTo: bob@example.org\r\nSubject: Lunch  today\r\nDate: Mon, 01 Jan 2024 00:00:00 +0000\r\n"
    b"Content-Type: text/plain\r\n\r\nShall we?\r\n\r\nAnn\r\n"
)


@cache
def rsa_key(bits: int, exponent: int = 65537) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(exponent, bits)


def private_pem(bits: int = 2048) -> bytes:
    return rsa_key(bits).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def record(bits: int = 2048, extra: str = "") -> str:
    der = rsa_key(bits).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; {extra}p={b64encode(der).decode()}"


def sign(message: bytes = MESSAGE, *, domain: str = "legit.test", bits: int = 2048, **options: object) -> bytes:
    machine = dkim.DKIM(message)
    return machine.sign(b"sel", domain.encode(), private_pem(bits), canonicalize=(b"relaxed", b"relaxed"), **options) + message  # type: ignore[arg-type]


def dns(*records: str, domain: str = "legit.test") -> FakeDns:
    return FakeDns({f"sel._domainkey.{domain}": {"TXT": list(records) or [record()]}})


async def run(function: Callable[[], list[Outcome]]) -> list[Outcome]:
    return function()


async def check(message: bytes, resolver: FakeDns | None = None, *, later: timedelta = timedelta()) -> list[Outcome]:
    fields, body = split(message)
    return await verify(fields, body, ["legit.test"], resolver or dns(), run, datetime.now(UTC) + later, DkimSettings())


async def result(message: bytes, resolver: FakeDns | None = None, *, later: timedelta = timedelta()) -> tuple[str, str]:
    (outcome,) = await check(message, resolver, later=later)
    return outcome.result, outcome.reason


async def test_t_dos_14_no_copy_of_the_body_is_held_while_a_name_server_lets_us_wait(tmp_path: Path) -> None:
    signature = sign()[: -len(MESSAGE)]
    message = MessageView(signature + MESSAGE + b"A long line, and then another one just as long as it.\r\n" * 80_000)
    held: list[int] = []

    class Waiting(FakeDns):
        async def resolve(self, name: str, record_type: RecordType) -> DnsAnswer:
            held.append(tracemalloc.get_traced_memory()[0])
            return await super().resolve(name, record_type)

    made = replace(services(tmp_path), resolver=Waiting({"sel._domainkey.legit.test": {"TXT": [record()]}}))
    assert message.fields and message.authors  # read before
    tracemalloc.start()
    try:
        (finding, *_) = await inspect_message(message, DkimSettings(), made)
    finally:
        tracemalloc.stop()
    assert len(held) == 1 and held[0] < 1 << 20 < message.size_octets
    assert finding.symbol == "DKIM_FAIL"  # the body was hashed all the same


async def test_a_signature_holds_and_changes_break_it() -> None:
    assert await result(sign()) == ("pass", "")
    assert (await result(sign().replace(b"Lunch", b"Dinner")))[0] == "fail"
    assert await result(sign().replace(b"Shall", b"Will")) == ("fail", "body hash did not verify")
    assert (await result(sign().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")))[0] == "pass"


async def test_ed25519_signatures_hold() -> None:
    seed = SigningKey.generate()
    signature = dkim.DKIM(MESSAGE).sign(b"sel", b"legit.test", b64encode(bytes(seed)), signature_algorithm=b"ed25519-sha256")
    resolver = dns(f"v=DKIM1; k=ed25519; p={b64encode(bytes(seed.verify_key)).decode()}")
    assert await result(signature + MESSAGE, resolver) == ("pass", "")
    short = dns(f"v=DKIM1; k=ed25519; p={b64encode(bytes(seed.verify_key)[:31]).decode()}")
    assert await result(signature + MESSAGE, short) == ("permerror", "Ed25519 key of wrong length")


async def test_t_dkim_01_partial_coverage_is_not_a_pass() -> None:
    signed = sign(length=True)
    assert await result(signed) == ("pass", "")
    got, reason = await result(signed + b"<b>Buy!</b>\r\n")
    assert got == "policy" and reason.startswith("covers")
    shorter = signed[: -len(b"Ann\r\n")]
    assert (await result(shorter))[0] in ("permerror", "fail")


@pytest.mark.parametrize("name", [b"Subject", b"subject ", b"Content-Type", b"To", b"Reply-To"])
async def test_t_dkim_02_a_second_instance_of_a_signed_field_is_not_a_pass(name: bytes) -> None:
    message = b"Reply-To: ann@legit.test\r\n" + MESSAGE
    assert (await result(name + b": other\r\n" + sign(message)))[0] in ("policy", "fail")


async def test_t_dkim_02_a_second_from_breaks_the_signature() -> None:
    assert (await result(b"From: ceo@bank.test\r\n" + sign()))[0] == "fail"


def raw_signature(**changes: str) -> bytes:
    """A well-formed signature (that does not verify), some tags replaced."""
    tags = {"v": "1", "a": "rsa-sha256", "d": "legit.test", "s": "sel", "h": "from", "bh": b64encode(b"x" * 32).decode()}
    tags = {**tags, "b": b64encode(b"y" * 256).decode(), **changes}
    return "; ".join(f"{name}={value}" for name, value in tags.items() if value != "-").encode("latin-1")


def test_the_well_formed_signature_is_one() -> None:
    assert parse_signature(raw_signature()).key_name == "sel._domainkey.legit.test"


REFUSED = [
    ("T-DKIM-01 negative l", {"l": "-1"}),
    ("T-DKIM-03 From not signed", {"h": "subject:date"}),
    ("T-DKIM-05 x before t", {"t": "1700000000", "x": "1600000000"}),
    ("T-DKIM-05 no number", {"t": "12e4"}),
    ("T-DKIM-05 too many digits", {"x": "9" * 100}),
    ("T-DKIM-06 sha1", {"a": "rsa-sha1"}),
    ("T-DKIM-06 unknown algorithm", {"a": "rsa-md5"}),
    ("T-DKIM-09 NUL", {"s": "sel._domainkey.evil.com.\x00.any"}),
    ("T-DKIM-09 quote", {"d": "legit'a.evil.com"}),
    ("T-DKIM-09 parenthesis", {"d": "legit.com(.evil"}),
    ("T-DKIM-09 root", {"d": "."}),
    ("T-DKIM-09 top level", {"d": "com"}),
    ("T-DKIM-09 long label", {"d": "x" * 300 + ".test"}),
    ("T-DKIM-09 8-bit", {"d": "b\xfccher.test"}),
    ("T-DKIM-11 many names", {"h": "from:" + ":".join(["x"] * 10_000)}),
    ("T-DKIM-11 empty name", {"h": "from::to"}),
    ("T-DKIM-12 long bh", {"bh": b64encode(b"x" * 3000).decode()}),
    ("T-DKIM-12 long b", {"b": b64encode(b"x" * 3000).decode()}),
    ("T-DKIM-13 no version", {"v": "-"}),
    ("T-DKIM-13 version 2", {"v": "2"}),
    ("T-DKIM-13 i outside d", {"i": "ann@evil.test"}),
    ("T-DKIM-13 i without at", {"i": "legit.test"}),
    ("T-DKIM-13 i suffix only", {"i": "ann@notlegit.test"}),
    ("T-DKIM-13 duplicate", {"d": "legit.test; d=evil.test"}),
    ("T-DKIM-13 no base64", {"b": "a" * 100 + " " * 20_000 + "!"}),
    ("T-DKIM-13 line breaks", {"b": "\r\n " * 10_000 + "!"}),
]


@pytest.mark.parametrize(("name", "changes"), REFUSED, ids=[name for name, _ in REFUSED])
async def test_bad_signature_fields_are_permerror_without_dns(name: str, changes: dict[str, str]) -> None:
    resolver, started = dns(), time.monotonic()
    message = b"DKIM-Signature: " + raw_signature(**changes) + b"\r\n" + MESSAGE
    assert [outcome.result for outcome in await check(message, resolver)] == ["permerror"]
    assert resolver.questions == [] and time.monotonic() - started < 10


@pytest.mark.parametrize(
    "changes", [{"z": "unknown"}, {"i": "=41nn@mail.legit=2Etest"}, {"h": "FROM : To\r\n : from"}, {"q": "dns/txt"}]
)
def test_t_dkim_13_fields_that_are_allowed(changes: dict[str, str]) -> None:
    assert parse_signature(raw_signature(**changes) + b";\r\n ").domain == "legit.test"


async def test_t_dkim_05_times_are_honoured_with_some_jitter() -> None:
    assert (await result(sign(), later=timedelta(minutes=-30)))[0] == "pass"
    assert await result(sign(), later=timedelta(hours=-2)) == ("permerror", "signature of the future")
    expired = raw_signature(t="1600000000", x="1600000600")
    assert await result(b"DKIM-Signature: " + expired + b"\r\n" + MESSAGE) == ("fail", "signature expired")


async def test_t_dkim_06_weak_huge_and_odd_keys() -> None:
    assert await result(sign(bits=1024), dns(record(1024))) == ("pass", "")
    for size in (512, 1000):
        numbers = rsa.RSAPublicNumbers(65537, (1 << size) - 1)
        assert (await result(sign(), dns(f"p={b64encode(_pkcs1(numbers)).decode()}")))[0] == "permerror"
    for numbers in (rsa.RSAPublicNumbers(4, (1 << 2048) - 1), rsa.RSAPublicNumbers((1 << 2000) + 1, (1 << 2048) - 1)):
        assert (await result(sign(), dns(f"p={b64encode(_pkcs1(numbers)).decode()}")))[0] in ("permerror", "fail")
    assert await result(sign(), dns("v=DKIM1; p=")) == ("permerror", "the key is revoked")
    started = time.monotonic()
    huge = rsa.RSAPublicNumbers((1 << 16000) + 1, (1 << 16384) - 1)
    assert (await result(sign(), dns(f"p={b64encode(_pkcs1(huge)).decode()}")))[0] == "permerror"
    assert time.monotonic() - started < 10


def _pkcs1(numbers: rsa.RSAPublicNumbers) -> bytes:
    """RSAPublicKey in DER, of any numbers (RFC 8017 A.1.1)."""

    def integer(value: int) -> bytes:
        octets = value.to_bytes(value.bit_length() // 8 + 1, "big")
        return b"\x02" + length(len(octets)) + octets

    def length(value: int) -> bytes:
        return bytes([value]) if value < 128 else b"\x82" + value.to_bytes(2, "big")

    body = integer(numbers.n) + integer(numbers.e)
    return b"\x30" + length(len(body)) + body


async def test_t_dkim_07_many_signatures_the_authors_first() -> None:
    resolver = dns()
    others = b"".join(b"DKIM-Signature: " + raw_signature(d=f"d{number}.test") + b"\r\n" for number in range(300))
    outcomes = await check(others + sign(), resolver)
    assert outcomes[0].result == "pass" and outcomes[0].domain == "legit.test"
    assert len(resolver.questions) == 8 and len(outcomes) == 301
    assert outcomes[-1].reason == "not checked: too many signatures"


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        (["RECORD", "RECORD"], "permerror"),
        (["RECORD", "v=spf1 -all"], "pass"),
        (["v=DKIM2; RECORD"], "permerror"),
        (["s=tlsrpt; RECORD"], "permerror"),
        (["s=email:tlsrpt; RECORD"], "pass"),
        (["s=*; RECORD"], "pass"),
        (["h=sha1; RECORD"], "permerror"),
        (["h=sha1:sha256; RECORD"], "pass"),
        (["k=ed25519; RECORD"], "permerror"),
        (["t=s; RECORD"], "pass"),
        (["n=note; n=note; RECORD"], "permerror"),
        (["RECORD; n=" + "x" * 60_000], "permerror"),
        (["p=" + "!" * 50], "permerror"),
        (["junk"], "permerror"),
    ],
)
async def test_t_dkim_08_key_records(records: list[str], expected: str) -> None:
    key = record().removeprefix("v=DKIM1; ")
    assert (await result(sign(), dns(*(text.replace("RECORD", key) for text in records))))[0] == expected


async def test_t_dkim_08_strict_identity() -> None:
    signed = sign(identity=b"ann@mail.legit.test")
    assert (await result(signed))[0] == "pass"
    assert (await result(signed, dns(record(extra="t=s; "))))[0] == "permerror"


async def test_keys_of_testers_pass_or_say_nothing() -> None:
    testing = dns(record(extra="t=y; "))
    assert (await result(sign(), testing))[0] == "pass"
    assert (await result(sign() + b"more", testing))[0] == "neutral"


async def test_t_dkim_14_dns_failures() -> None:
    slow = FakeDns({"sel._domainkey.legit.test": {TIMEOUT: []}})
    assert await result(sign(), slow) == ("temperror", "the key could not be fetched")
    assert await result(sign(), FakeDns({})) == ("permerror", "no key record")


BLANKS = st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b"bc", b"  "]), max_size=40).map(b"".join)


@given(body=BLANKS)
def test_t_dkim_10_relaxed_body_follows_the_rule(body: bytes) -> None:
    lines = body.split(b"\r\n")
    plain = [b" ".join(part for part in line.replace(b"\t", b" ").split(b" ")) for line in lines]
    expected = []
    for line in plain:
        while b"  " in line:
            line = line.replace(b"  ", b" ")
        expected.append(line.rstrip(b" "))
    while expected and not expected[-1]:
        expected.pop()
    assert canonical_body(body) == b"".join(line + b"\r\n" for line in expected)


@pytest.mark.parametrize(
    ("body", "relaxed"),
    [(b"", b""), (b"\r\n\r\n", b""), (b" \r\n", b""), (b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n"), (b"x", b"x\r\n")],
)
def test_t_dkim_10_rfc_6376_3_4(body: bytes, relaxed: bytes) -> None:
    assert canonical_body(body) == relaxed
    assert Simple.canonicalize_body(b" C \r\nD \t E\r\n\r\n\r\n") == b" C \r\nD \t E\r\n"


@pytest.mark.parametrize(
    "body", [b" " * 1_000_000 + b"x", (b" " * 990 + b"x\r\n") * 1000, b"\r\n" * 500_000, b"a" + b" \r\n" * 300_000]
)
def test_hostile_bodies_are_linear(body: bytes) -> None:
    started = time.monotonic()
    canonical_body(body)
    assert time.monotonic() - started < 10


@given(value=st.binary(max_size=300))
def test_any_octets_parse_or_are_refused(value: bytes) -> None:
    with contextlib.suppress(TagError):
        parse_signature(value)
