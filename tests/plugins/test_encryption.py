"""encryption: by domain, in both directions."""

from pathlib import Path

import pytest

from mailward.api import (
    Address,
    Credentials,
    EnvelopeView,
    Finding,
    MailHost,
    Relaying,
    ReversePath,
    Role,
    Services,
    SessionView,
    TlsFacts,
    TlsLevel,
)
from mailward.formats.message import MessageView
from mailward.model.address import ForwardPath
from mailward.model.errors import PolicyError
from mailward.model.ids import QueueId, new_session_id
from mailward.model.tls import protection_of
from mailward.pipeline.judge import Judge
from mailward.pipeline.plugins import PluginHost
from mailward.pipeline.relays import Relays
from mailward.policy import Direction, Policy, RecipientFacts, load_preset
from mailward.testing import (
    FakeClock,
    FakeCredentials,
    FakeHttp,
    FakeZone,
    MemoryKeyValue,
    MemoryLog,
    MemoryMetrics,
    MemorySecrets,
)
from mailward.testing.fakes import RunDirectly, SentMail
from mailward.testing.policies import made_policy
from mailward_plugins.encryption import inspect_mail
from mailward_plugins.encryption.rules import level_of
from mailward_plugins.encryption.settings import EncryptionFacts, EncryptionSettings

DOMAINS = {
    "bank.example": "required",
    ".bank.example": "verified",
    "low.bank.example": "opportunistic",
    "bücher.example": "required",
}
TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384")


def services(_: str) -> Services:
    credentials: Credentials = FakeCredentials()
    return Services(
        FakeZone(),
        FakeClock(),
        MemoryKeyValue(),
        MemoryLog(),
        RunDirectly(),
        MemorySecrets(),
        credentials,
        SentMail(),
        FakeHttp(),
        MemoryMetrics(),
    )


def session(role: Role = Role.MX, tls: TlsFacts | None = None) -> SessionView:
    return SessionView(new_session_id(), role, "mx", "192.0.2.1", FakeClock().now(), "mail.example.net", True, tls)


@pytest.mark.parametrize(
    ("domain", "level", "entry"),
    [
        ("bank.example", "required", "bank.example"),
        ("a.bank.example", "verified", ".bank.example"),
        ("a.b.bank.example", "verified", ".bank.example"),
        ("low.bank.example", "opportunistic", "low.bank.example"),
        ("a.low.bank.example", "verified", ".bank.example"),
        ("notbank.example", "opportunistic", "default"),
        ("xn--bcher-kva.example", "required", "xn--bcher-kva.example"),
        ("", "opportunistic", "default"),
    ],
)
def test_the_nearest_entry_holds(domain: str, level: str, entry: str) -> None:
    assert level_of(domain, EncryptionSettings(domains=DOMAINS)) == (level, entry)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mail_from", "tls", "facts", "symbol"),
    [
        ("a@bank.example", None, EncryptionFacts(True, False), "ENCRYPTION_MISSING"),
        ("a@bank.example", TLS, EncryptionFacts(True, True), None),
        ("a@else.example", None, EncryptionFacts(False, False), None),
        ("", None, EncryptionFacts(False, False), None),
    ],
)
def test_what_is_found_at_mail(mail_from: str, tls: TlsFacts | None, facts: EncryptionFacts, symbol: str | None) -> None:
    local_part, _, domain = mail_from.partition("@")
    path = ReversePath(Address(local_part, domain) if mail_from else None)
    found: Finding = inspect_mail(session(tls=tls), EnvelopeView(path), EncryptionSettings(domains=DOMAINS))  # type: ignore[arg-type]
    assert (found.facts, found.symbol) == (facts, symbol)


def preset(direction: Direction) -> tuple[Policy, PluginHost]:
    host = PluginHost()
    names = ("ambiguity", "antivirus", "encryption", "spf", "dkim", "dmarc", "spam")
    stages = {"spf": "mail", "encryption": "mail"}
    return load_preset(direction, host.enable(names), stages=stages), host  # type: ignore[arg-type]


@pytest.mark.parametrize(("tls", "reply"), [(None, "530 5.7.10 Encryption needed: use STARTTLS first"), (TLS, None)])
async def test_the_preset_of_submission_takes_nothing_in_clear(tls: TlsFacts | None, reply: str | None) -> None:
    policy, host = preset("submission")
    judge = Judge(policy, host, services, hostname="mx.example.org", clock=FakeClock())
    here = session(Role.SUBMISSION, tls)
    answer = await judge.begin(here).mail(here, EnvelopeView(ReversePath(Address("alice", "example.org"))))
    assert (None if answer is None else str(answer)) == reply


@pytest.mark.parametrize(("domain", "refused"), [("bank.example", True), ("else.example", False)])
async def test_inbound_refuses_by_the_senders_domain(tmp_path: Path, domain: str, refused: bool) -> None:
    rule = {
        "name": "must-be-encrypted", "when": "encryption.required && !encryption.satisfied", "at": "mail", "then": "reject",
        "reply": "530 5.7.10 Encryption needed",
    }  # fmt: skip
    policy, host = made_policy(
        "inbound", ["encryption"], {"encryption": {"domains": {"bank.example": "required"}}}, {"rules": [rule]}
    )
    trial = Judge(policy, host, services, hostname="mx.example.org", clock=FakeClock()).begin(session())
    envelope = EnvelopeView(ReversePath(Address("a", domain)))
    answer = await trial.mail(session(), envelope)
    assert (answer is not None and answer.code == 530) is refused
    if not refused:
        paths = (ForwardPath(Address("bob", "example.org")),)
        whole = EnvelopeView(envelope.reverse_path, paths)
        message = MessageView(b"From: a@else.example\r\n\r\nx\r\n")
        judged = await trial.message(QueueId("a" * 16), session(), whole, [RecipientFacts.of(paths[0])], message)
        assert judged.record.facts["encryption.required"] is False


@pytest.mark.parametrize(
    ("domain", "level", "why"),
    [
        ("bank.example", TlsLevel.REQUIRED, "the outbound policy says of encryption: bank.example: required"),
        ("a.bank.example", TlsLevel.VERIFIED, "the outbound policy says of encryption: .bank.example: verified"),
        ("else.example", TlsLevel.OPPORTUNISTIC, "the outbound policy says of encryption: default: opportunistic"),
    ],
)
async def test_outbound_asks_by_the_domain_the_mail_goes_to(domain: str, level: TlsLevel, why: str) -> None:
    policy, host = made_policy("outbound", ["encryption"], {"encryption": {"domains": DOMAINS}}, {})
    relaying = Relaying(QueueId("a" * 16), domain, "submission", "alice@example.org", "alice@example.org", (f"bob@{domain}",))
    wanted = protection_of(await Relays(policy, host, services).tls_requirements(relaying, MailHost("mx.test", 25))).floor
    assert (wanted.level, wanted.why) == (level, why)


@pytest.mark.parametrize(("heeds", "level"), [(True, TlsLevel.OPPORTUNISTIC), (False, TlsLevel.REQUIRED)])
async def test_a_user_may_let_mail_go_without_tls_where_the_admin_heeds_that(heeds: bool, level: TlsLevel) -> None:
    """RFC 8689 section 5."""
    settings = {"domains": DOMAINS, "heed_senders": heeds}
    policy, host = made_policy("outbound", ["encryption"], {"encryption": settings}, {})
    relaying = Relaying(QueueId("a" * 16), "bank.example", "submission", "a@b.example", "a@b.example", (), tls_optional=True)
    asked = await Relays(policy, host, services).tls_requirements(relaying, MailHost("mx.test", 25))
    assert protection_of(asked).floor.level is level


async def test_t_tls_24_a_report_goes_though_tls_fails_whatever_is_said_of_users() -> None:
    """RFC 8460 section 3."""
    policy, host = made_policy("outbound", ["encryption"], {"encryption": {"domains": DOMAINS, "heed_senders": False}}, {})
    relaying = Relaying(QueueId("a" * 16), "bank.example", "server", "", "", (), tls_optional=True)
    asked = await Relays(policy, host, services).tls_requirements(relaying, MailHost("mx.test", 25))
    assert protection_of(asked).floor.level is TlsLevel.OPPORTUNISTIC


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"domains": {"bank.example": "always"}}, "plugins.encryption.domains.bank.example: opportunistic, required or verified"),
        ({"domains": {"bank.example": True}}, "plugins.encryption.domains.bank.example"),
        ({"domains": ["bank.example"]}, "plugins.encryption.domains: a mapping was expected"),
        ({"domains": {"a b": "required"}}, "'a b' is no domain"),
        ({"bypass": {"a.example": {"until": "soon", "reason": "x"}}}, "a.example.until: a day such as 2026-12-01 was expected"),
        ({"bypass": {"a.example": {"until": "2026-12-01"}}}, "a.example.reason: the key 'reason' is missing"),
        ({"bypass": {"a.example": {"until": "2026-12-01", "reason": "x", "y": 1}}}, "there is no key 'y' here"),
        ({"bypass": {"a b": {"until": "2026-12-01", "reason": "x"}}}, "'a b' is no domain"),
        ({"default": "maybe"}, "plugins.encryption.default: opportunistic, required or verified was expected, 'maybe' was found"),
    ],
)
def test_wrong_settings_are_problems_with_their_place(settings: dict[str, object], problem: str) -> None:
    with pytest.raises(PolicyError) as error:
        made_policy("outbound", ["encryption"], {"encryption": settings}, {})
    assert problem in str(error.value)
