"""Signing: RFC 8463's example, what must break a signature, who may have one, and that none leaves unchecked."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import dkim as dkimpy
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mailward.api import AddHeader, Edit, MessageView, Relaying, Services, UnsendableMessage
from mailward.directory import Names
from mailward.directory.aliases import MayPass, Way, anybody
from mailward.formats.edits import render
from mailward.intake.refusing import core_refusal
from mailward.intake.submission import SubmissionRights
from mailward.model.address import Address
from mailward.model.identity import Identity
from mailward.model.ids import AccountId, QueueId
from mailward.pipeline.answers import read_edits
from mailward.testing import FakeClock, MemoryLog
from mailward.testing.fakes import MemorySecrets
from mailward_plugins import dkim
from mailward_plugins.dkim import signing
from mailward_plugins.dkim.keys import DomainKey, KeyFileError, PrivateKey, dns_records, load_key, signing_keys
from mailward_plugins.dkim.rules import HeaderField, Outcome, verify, verify_topmost
from mailward_plugins.dkim.settings import DkimSettings
from mailward_plugins.dkim.signing import OVERSIGNED, SigningError, octets_to_sign
from mailward_plugins.dkim.tags import parse_signature
from support.dkim_keys import ed25519_pem, rsa_pem
from support.fake_dns import FakeDns
from support.mail import crlf, split

MESSAGE = crlf(
    b"""From: Ann <ann@example.org>
To: Bob <bob@example.net>,
\tCarol  <carol@example.net>
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=   from  Ann
Date: Mon, 2 Nov 2026 10:00:00 +0000
Message-ID: <1@example.org>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Shall we  meet?  \xc3\x84pfel\t
.
"""
    + b"long " * 300
    + b"\n\n\n"
)
FILES = {"example.org/r202611.pem": rsa_pem(), "example.org/e202611.pem": ed25519_pem()}
SUBMITTED = Relaying(QueueId("q1"), "example.net", "submission", "ann@example.org", "ann@example.org", ("bob@example.net",))
ANN = Identity(AccountId("ann"), "ann@example.org")
NOW = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)


async def at_once(function: Callable[[], list[AddHeader]]) -> list[AddHeader]:
    return function()


def services(files: dict[str, bytes] | None = None) -> Services:
    secrets = MemorySecrets(FILES if files is None else files)
    made = SimpleNamespace(secrets=secrets, clock=FakeClock(NOW), log=MemoryLog(), run_blocking=at_once)
    return cast(Services, made)


def edits(
    message: bytes = MESSAGE, relaying: Relaying = SUBMITTED, given: Services | None = None, wanted: DkimSettings | None = None
) -> list[AddHeader]:
    signing = dkim.edit_relay(relaying, MessageView(message), wanted or DkimSettings(), given or services())
    with pytest.raises(StopIteration) as end:  # nothing in it waits
        signing.send(None)
    made: list[AddHeader] = end.value.value
    return made


def signed(message: bytes = MESSAGE, **options: DkimSettings) -> bytes:
    """As it leaves: the plugin's answer read and rendered by the core."""
    made: tuple[Edit, ...] = read_edits(edits(message, **options), MessageView(message))  # type: ignore[arg-type]
    return render(message, made)


def records(files: dict[str, bytes] | None = None, domain: str = "example.org") -> dict[str, str]:
    """Name -> text of the records to publish."""
    found = dns_records(domain, MemorySecrets(FILES if files is None else files))
    return {record.name.removesuffix("."): record.value.replace('" "', "").strip('"') for record in found}


async def outcomes(message: bytes, now: datetime = NOW) -> list[Outcome]:
    async def run(function: Callable[[], list[Outcome]]) -> list[Outcome]:
        return function()

    fields, body = split(message)
    zone = FakeDns({name: {"TXT": [text]} for name, text in records().items()})
    return await verify(fields, body, ["example.org"], zone, run, now, DkimSettings())


async def results(message: bytes) -> list[str]:
    return [outcome.result for outcome in await outcomes(message)]


def dkimpy_says(message: bytes, files: dict[str, bytes] | None = None) -> list[bool]:
    """Every signature, by dkimpy's own reading of the message and of the key record."""
    texts = {f"{name}.".encode(): text.encode() for name, text in records(files).items()}
    count = message.lower().count(b"dkim-signature:")

    def dnsfunc(name: bytes, timeout: int = 5) -> bytes:
        return texts[name]

    return [dkimpy.DKIM(message).verify(number, dnsfunc) for number in range(count)]


def test_rfc_8463_a_the_example_is_signed_alike() -> None:
    message = crlf(
        b"""From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
"""
    )
    key = load_key(ed25519_pem())
    assert key.record.endswith("p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    fields, body = split(message)
    value = (
        "v=1; a=ed25519-sha256; c=relaxed/relaxed; d=football.example.com; i=@football.example.com; q=dns/txt; s=brisbane; "
        "t=1528637909; h=from : to : subject : date : message-id : from : subject : date; "
        "bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b="
    )
    names = ["from", "to", "subject", "date", "message-id", "from", "subject", "date"]
    made = key.sign(octets_to_sign(fields, names, value))
    assert b64encode(made).decode() == (
        "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
    )
    ours = DomainKey("football.example.com", "brisbane", "signs", key)
    (made_value,) = signing.signature_values(fields, body, [ours], NOW, timedelta())
    assert "bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;" in made_value


async def test_both_signatures_hold_after_the_core_has_folded_them() -> None:
    message = signed()
    assert await results(message) == ["pass", "pass"]
    assert dkimpy_says(message) == [True, True]
    header = message.partition(b"\r\n\r\n")[0]
    assert max(map(len, header.split(b"\r\n")[:20])) <= 78
    assert [o.signature.algorithm for o in await outcomes(message) if o.signature] == ["rsa-sha256", "ed25519-sha256"]


def test_what_the_fields_say() -> None:
    values = [parse_signature(edit.value.encode()) for edit in edits(wanted=DkimSettings(expire_after=timedelta(days=14)))]
    assert [edit.name for edit in edits()] == ["DKIM-Signature"] * 2
    for value in values:
        assert (value.domain, value.canonicalization, value.body_octets) == ("example.org", "relaxed/relaxed", None)
        assert value.signed_at == NOW.timestamp() and value.expires_at == NOW.timestamp() + 14 * 86_400
        for name in OVERSIGNED:
            occurs = MESSAGE.count(f"\r\n{name}:".encode()) + MESSAGE.startswith(f"{name}:".encode())
            assert value.field_names.count(name.lower().encode()) == occurs + 1, name
    assert {value.selector for value in values} == {"r202611", "e202611"}
    assert parse_signature(edits()[0].value.encode()).expires_at is None


def test_one_click_unsubscribe_is_signed_as_it_occurs() -> None:
    message = b"List-Unsubscribe: <https://example.org/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" + MESSAGE
    names = parse_signature(edits(message)[0].value.encode()).field_names
    assert names.count(b"list-unsubscribe") == names.count(b"list-unsubscribe-post") == 1
    assert b"list-unsubscribe" not in parse_signature(edits()[0].value.encode()).field_names


@pytest.mark.parametrize("name", OVERSIGNED)
async def test_t_dkim_02_a_field_added_above_breaks_both(name: str) -> None:
    assert "pass" not in await results(f"{name}: other\r\n".encode() + signed())
    assert dkimpy_says(f"{name}: other\r\n".encode() + signed()) == [False, False]


async def test_t_dkim_02_a_second_from_or_subject_below_breaks_both() -> None:
    for added in (b"From: ceo@bank.test\r\n", b"Subject: other\r\n"):
        header, _, body = signed().partition(b"\r\n\r\n")
        assert "pass" not in await results(header + b"\r\n" + added + b"\r\n" + body)


BODY_START = MESSAGE.index(b"\r\n\r\n") + 4
CHANGEABLE = [n for n, octet in enumerate(MESSAGE) if octet not in b" \t\r\n:"]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(place=st.sampled_from(CHANGEABLE), bit=st.integers(0, 4))
async def test_any_changed_octet_of_header_or_body_breaks_both(place: int, bit: int) -> None:
    message = signed()
    start = len(message) - len(MESSAGE) + place
    changed = bytearray(message)
    changed[start] ^= 1 << bit
    in_name = place < BODY_START and b":" not in MESSAGE[MESSAGE.rfind(b"\r\n", 0, place) + 2 : place + 1]
    folded = MESSAGE[place - 1 : place] in (b"\t",)
    if in_name and not folded and changed[start] ^ message[start] == 0x20:
        return  # field names are compared without case
    assert "pass" not in await results(bytes(changed))


WORDS = st.lists(st.sampled_from([b"word", b"  ", b"\t", b"=?utf-8?q?=C3=BC?=", b"\r\n ", b"\xc3\xbc", b"x" * 300]), max_size=12)
LINES = st.lists(st.sampled_from([b"text", b"  two ", b"\t", b"", b".", b"\xff" * 20, b"y" * 1200, b"From here"]), max_size=10)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(subject=WORDS.map(b"".join), lines=LINES, repeated=st.sampled_from([b"", b"Subject: again\r\n", b"X-Other: 1\r\n"]))
async def test_whatever_is_signed_verifies_after_rendering(subject: bytes, lines: list[bytes], repeated: bytes) -> None:
    header = b"From: ann@example.org\r\nSubject: a" + subject + b"b\r\n" + repeated
    message = signed(header + b"\r\n" + b"".join(line + b"\r\n" for line in lines))
    assert await results(message) == ["pass", "pass"]


@pytest.mark.parametrize(
    "body", [b"", b"\r\n", b"\r\n\r\n", b"no end", b"bare\nline feed\n", b"\x00\x01", b"end of data\r\n.\r\n", b" \t \r\n"]
)
async def test_odd_bodies(body: bytes) -> None:
    header = b"From: ann@example.org\r\nSubject: x\r\n\r\n"
    message = signed(header + body)
    # A relay sends CRLF line ends and ends the last line (RFC 5321 section 2.3.7), so this is what arrives.
    sent = crlf(message if message.endswith(b"\n") else message + b"\r\n")
    assert await results(sent) == ["pass", "pass"]
    assert dkimpy_says(sent) == [True, True]


async def test_a_message_of_a_header_alone() -> None:
    assert await results(signed(b"From: ann@example.org\r\nSubject: x\r\n") + b"\r\n") == ["pass", "pass"]


async def test_signatures_of_others_and_older_ones_of_ours_are_left_alone() -> None:
    older = signed().replace(b"Shall we", b"Will you")
    message = signed(b"DKIM-Signature: v=1; junk\r\n" + older)
    assert sorted(await results(message)) == ["fail", "fail", "pass", "pass", "permerror"]


NOT_SIGNED = [
    ("mail from another server", MESSAGE, replace(SUBMITTED, origin="inbound", user="")),
    ("from another server, though it names a user", MESSAGE, replace(SUBMITTED, origin="inbound")),
    ("submitted by nobody", MESSAGE, replace(SUBMITTED, user="")),
    ("another domain's author", MESSAGE.replace(b"ann@example.org", b"ann@bank.test"), SUBMITTED),
    ("a domain that only ends alike", MESSAGE.replace(b"ann@example.org", b"ann@notexample.org"), SUBMITTED),
    ("a domain above", MESSAGE.replace(b"ann@example.org", b"ann@org"), SUBMITTED),
    ("an address literal", MESSAGE.replace(b"ann@example.org", b"ann@[192.0.2.1]"), SUBMITTED),
    ("a path as a domain", MESSAGE.replace(b"ann@example.org", b"ann@../example.org"), SUBMITTED),
    ("two From fields", b"From: ceo@example.org\r\n" + MESSAGE, SUBMITTED),
    ("two From fields, one misspelt", b"From : ceo@example.org\r\n" + MESSAGE, SUBMITTED),
    ("two authors", MESSAGE.replace(b"<ann@example.org>", b"<ann@example.org>, b@example.org"), SUBMITTED),
    ("two authors, one elsewhere", MESSAGE.replace(b"<ann@example.org>", b"<ann@example.org>, b@bank.test"), SUBMITTED),
    ("a group", MESSAGE.replace(b"Ann <ann@example.org>", b"undisclosed:;"), SUBMITTED),
    ("no From", MESSAGE.replace(b"From:", b"X-From:"), SUBMITTED),
    ("an unreadable From", MESSAGE.replace(b"Ann <ann@example.org>", b"Ann <ann@example.org> <b@example.org>"), SUBMITTED),
]


@pytest.mark.parametrize(("name", "message", "relaying"), NOT_SIGNED, ids=[case[0] for case in NOT_SIGNED])
def test_t_dkim_15_no_signature_for_what_is_not_ours(name: str, message: bytes, relaying: Relaying) -> None:
    given = services()
    assert edits(message, relaying, given) == []
    told = [event for _, event, _ in cast(MemoryLog, given.log).events]
    assert told == ([] if relaying.origin == "inbound" else ["not signed"])


def test_our_own_reports_are_signed_by_the_key_of_the_domain_above() -> None:
    report = MESSAGE.replace(b"ann@example.org", b"postmaster@mx.example.org")
    values = [parse_signature(e.value.encode()) for e in edits(report, replace(SUBMITTED, origin="server", user=""))]
    assert [value.domain for value in values] == ["example.org"] * 2


def test_a_subdomain_with_keys_of_its_own_signs_with_those() -> None:
    files = {**FILES, "sub.example.org/s1.pem": rsa_pem(number=1)}
    message = MESSAGE.replace(b"ann@example.org", b"ann@sub.example.org")
    (edit,) = edits(message, given=services(files))
    assert parse_signature(edit.value.encode()).key_name == "s1._domainkey.sub.example.org"
    assert {key.domain for key in signing_keys("other.example.org", MemorySecrets(files))} == {"example.org"}
    assert signing_keys("org", MemorySecrets(files)) == ()


@pytest.mark.parametrize("domain", ["b\u00fccher.example", "xn--bcher-kva.example", "XN--BCHER-KVA.Example"])
def test_an_internationalised_author_is_signed_under_a_labels(domain: str) -> None:
    files = {"xn--bcher-kva.example/s1.pem": ed25519_pem()}
    message = MESSAGE.replace(b"ann@example.org", f"ann@{domain}".encode())
    (edit,) = edits(message, given=services(files))
    assert "d=xn--bcher-kva.example;" in edit.value


BROKEN = {
    "empty": b"",
    "cut": rsa_pem()[:500],
    "not a key": b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    "T-DKIM-06 a short RSA key": rsa_pem(1024),
    "a certificate": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
}


@pytest.mark.parametrize("octets", BROKEN.values(), ids=BROKEN)
def test_a_key_that_cannot_be_used_holds_the_mail_back(octets: bytes) -> None:
    with pytest.raises(KeyFileError, match=r"^example.org/e202611.pem: "):
        edits(given=services({**FILES, "example.org/e202611.pem": octets}))
    with pytest.raises(KeyFileError):
        records({"example.org/next/e202612.pem": octets})


def test_a_selector_that_cannot_be_published_holds_the_mail_back() -> None:
    with pytest.raises(KeyFileError, match="cannot be a selector"):
        edits(given=services({"example.org/Not A Selector.pem": rsa_pem()}))


def test_keys_with_dos_line_ends_are_read() -> None:
    assert load_key(rsa_pem().replace(b"\n", b"\r\n")).record == load_key(rsa_pem()).record


def test_waiting_and_former_keys_do_not_sign_and_are_published() -> None:
    files = {
        "example.org/r202611.pem": rsa_pem(),
        "example.org/next/r202612.pem": rsa_pem(number=1),
        "example.org/old/r202610.pem": rsa_pem(number=2),
        "example.org/.r202699.pem.new": b"half a key",
        "example.org/notes.txt": b"",
    }
    assert [key.selector for key in signing_keys("example.org", MemorySecrets(files))] == ["r202611"]
    assert sorted(records(files)) == [f"r2026{month}._domainkey.example.org" for month in (10, 11, 12)]
    whys = {record.name[:7]: record.why for record in dns_records("example.org", MemorySecrets(files))}
    assert "key activate example.org" in whys["r202612"] and "key retire example.org" in whys["r202610"]
    broken = {**files, "example.org/next/r202612.pem": b"", "example.org/old/r202610.pem": b""}
    assert [key.selector for key in signing_keys("example.org", MemorySecrets(broken))] == ["r202611"]


def test_a_domain_whose_keys_all_wait_is_not_signed_by_them() -> None:
    assert edits(given=services({"example.org/next/r202612.pem": rsa_pem()})) == []


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not_parsed_twice() -> None:
    given = services(dict(FILES))
    edits(given=given)
    before = load_key.cache_info()
    edits(given=given)
    after = load_key.cache_info()
    assert after.misses == before.misses and after.hits > before.hits
    files = cast(MemorySecrets, given.secrets).files
    files["example.org/r202611.pem"] = rsa_pem(number=3)
    message = render(MESSAGE, edits(given=given))
    assert dkimpy_says(message, files) == [True, True]
    assert dkimpy_says(message) == [False, True]
    del files["example.org/r202611.pem"]
    assert len(edits(given=given)) == 1


def test_published_records_are_split_into_strings_of_255_octets() -> None:
    for record in dns_records("example.org", MemorySecrets(FILES)):
        strings = record.value.strip('"').split('" "')
        assert max(map(len, strings)) <= 255
        assert "".join(strings).startswith(("v=DKIM1; k=rsa; h=sha256; p=", "v=DKIM1; k=ed25519; h=sha256; p="))
        assert (record.type, record.name.endswith("._domainkey.example.org.")) == ("TXT", True)


def test_t_dkim_16_a_signature_that_does_not_verify_is_not_given_away(monkeypatch: pytest.MonkeyPatch) -> None:
    right = PrivateKey.sign

    def wrong(self: PrivateKey, octets: bytes) -> bytes:
        made = right(self, octets)
        return made[:-1] + bytes([made[-1] ^ 1])

    monkeypatch.setattr(PrivateKey, "sign", wrong)
    with pytest.raises(SigningError, match="does not verify"):
        edits()


def test_t_dkim_16_a_wrong_hash_of_the_body_is_not_given_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "canonical_body", lambda body: body + b"more")
    with pytest.raises(SigningError, match="body hash"):
        edits()


HOSTILE = {
    "a header that begins with a continuation": b" folded\r\n" + MESSAGE,
    "more fields than are read": b"From: ann@example.org\r\n" + b"X: 1\r\n" * 1200 + b"From: ceo@example.org\r\n\r\n",
    "a header beyond the budget": b"From: ann@example.org\r\nX: " + b"x" * 300_000 + b"\r\n\r\n",
    "too many of what stands once": b"From: ann@example.org\r\n" + b"To: bob@example.net\r\n" * 300 + b"\r\n",
}


@pytest.mark.parametrize("message", HOSTILE.values(), ids=HOSTILE)
def test_t_dkim_16_what_cannot_be_signed_as_a_whole_is_a_fault_of_the_message(message: bytes) -> None:
    if message.startswith(b" "):
        with pytest.raises((SigningError, UnsendableMessage)):
            edits(message)
        return
    with pytest.raises(UnsendableMessage):
        edits(message)


@pytest.mark.parametrize(("count", "named"), [(1, 1), (8, 8), (9, 0), (890, 0)])
def test_t_dkim_16_many_list_fields_do_not_keep_a_message_from_being_signed(count: int, named: int) -> None:
    message = signed(b"List-Unsubscribe: <https://example.org/>\r\n" * count + MESSAGE)
    assert dkimpy_says(message) == [True, True]
    assert parse_signature(split(message)[0][0].value).field_names.count(b"list-unsubscribe") == named


class Anns:
    """A directory in which every address is ann's."""

    def is_local_domain(self, domain: str) -> bool:
        return True

    def resolve(self, address: Address) -> AccountId | None:
        return AccountId("ann")

    def expand(self, address: Address, may_pass: MayPass = anybody, /) -> tuple[Way, ...]:
        return ()

    def groups_of(self, accounts: Iterable[AccountId], /) -> tuple[str, ...]:
        return ()

    def names_of(self, accounts: Sequence[AccountId], /) -> Names:
        return Names((), ())

    def detail(self, address: Address, /) -> str:
        return ""


_NAMES = st.sampled_from(
    [*OVERSIGNED[1:], *signing.SIGNED, "Bcc", "X-Any", "Received", "DKIM-Signature", "Resent-To", "a", "Subject "]
)
_VALUES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b" ",
                b"\t",
                b"  \t ",
                b"\r\n ",
                b"\r\n\t \r\n ",
                b":",
                b";",
                b"=",
                b"=?utf-8?q?=0B?=",
                b"\xc2\x85",
                b"\xc2\xa0",
                b"x",
            ]
        ),
        st.binary(min_size=1, max_size=8).map(lambda octets: octets.translate(None, b"\r\n\0")),
    ),
    max_size=8,
).map(b"".join)
_FIELDS = st.lists(st.tuples(_NAMES, _VALUES).map(lambda field: field[0].encode() + b":" + field[1] + b"\r\n"), max_size=12)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(_FIELDS, st.binary(max_size=200))
def test_t_dkim_16_any_message_that_intake_takes_is_signed_and_verifies(header: list[bytes], body: bytes) -> None:
    body = body.translate(None, b"\r\n\0")
    message = b"From: Ann <ann@example.org>\r\n" + b"".join(header) + b"\r\n" + body + b"\r\n"
    view = MessageView(message)
    assume(core_refusal(view, "mx.example.org") is None and SubmissionRights(Anns()).refusal(ANN, view) is None)
    sent = signed(b"Received: by mail.example.org; Mon, 2 Nov 2026 10:00:00 +0000\r\n" + message)
    made = sent[: sent.index(b"Received: by mail.example.org")]
    assert made.count(b"DKIM-Signature: ") == 2
    fields, rest = split(sent)
    texts = list(reversed(records().values()))
    assert {outcome.result for outcome in verify_topmost(fields, rest, [text for text in texts if text])} == {"pass"}


@pytest.mark.parametrize("count", [890])
def test_t_dkim_16_the_largest_header_that_intake_takes_is_signed_with_what_is_added(count: int) -> None:
    fields = b"From: ann@example.org\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 200) for n in range(count))
    view = MessageView(fields + b"\r\nhi\r\n")
    assert core_refusal(view, "mx.example.org") is None and SubmissionRights(Anns()).refusal(ANN, view) is None
    assert dkimpy_says(signed(b"X-Added: 1\r\n" * 90 + bytes(view.octets))) == [True, True]


def test_dkim_runs_after_all_other_plugins_of_the_hook() -> None:
    from mailward.api.hooks import options_of

    assert options_of(dkim.edit_relay).after == ("*",)


def test_the_key_of_rfc_8463_is_that_of_its_record() -> None:
    assert b64decode(load_key(ed25519_pem()).record.partition("p=")[2]) == b64decode(
        "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    )


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=400))
def test_any_octets_as_a_message_give_signatures_or_none_or_signing_error(octets: bytes) -> None:
    try:
        made = edits(b"From: ann@example.org\r\n" + octets)
    except (SigningError, UnsendableMessage):
        return
    assert all(HeaderField.of(f"DKIM-Signature: {edit.value}\r\n".encode()).name == b"dkim-signature" for edit in made)
