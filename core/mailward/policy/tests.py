"""The tests a policy carries: a message and facts in, a verdict expected.

`given:` tests are pure and run at every load. `live: true` tests need plugins and clamd; `live_message` makes what is to be sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from typing import Protocol

from mailward.model.address import NULL_REVERSE_PATH, Address, ForwardPath, ReversePath
from mailward.model.envelope import Envelope
from mailward.model.evidence import EvidenceSet, FactValue, HookCall, StoredFinding
from mailward.policy.ruling import RecipientFacts, Ruling
from mailward.policy.stages import Stage
from mailward.policy.values import PluginPolicy

EICAR_HALVES = (r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STAND", "ARD-ANTIVIRUS-TEST-FILE!$H+H*")
"""Joined only when a message is made, so that no scanner takes this file for the test file."""

SYMBOLS = "symbols"


@dataclass(frozen=True, slots=True)
class Expected:
    """What one recipient should get; None: anything."""

    verdict: str | None = None
    rule: str | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class TestMessage:
    """The message of a test. mail_from None: the null reverse-path."""

    __test__ = False

    mail_from: Address | None
    recipients: tuple[Address, ...]
    author: Address | None
    subject: str
    text: str
    attach_eicar: bool


@dataclass(frozen=True, slots=True)
class PolicyTest:
    """One test. message: None for a login. given: facts by name. symbols: (plugin, symbol) that were found.

    expected: recipient address, "" for a login -> expectation. shadow: as if what is in shadow counted.
    """

    name: str
    where: str
    live: bool
    message: TestMessage | None
    given: Mapping[str, FactValue]
    symbols: tuple[tuple[str, str], ...]
    expected: Mapping[str, Expected]
    shadow: bool = False


@dataclass(frozen=True, slots=True)
class TestResult:
    """The outcome of one test. differences: lines such as "cfo@...: expected verdict reject, got accept (rule partners)"."""

    __test__ = False

    test: PolicyTest
    rulings: tuple[Ruling, ...]
    differences: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.differences


class Judging(Protocol):
    """`Policy.judge`."""

    def __call__(
        self, facts: Mapping[str, FactValue], evidence: EvidenceSet, recipient: RecipientFacts | None, *, stage: Stage
    ) -> Ruling | None: ...


def run_test(test: PolicyTest, judge: Judging, plugins: Mapping[str, PluginPolicy], stage: Stage) -> TestResult:
    """Judge the message for each of its recipients, or the login, and compare. stage: the last one."""
    facts, evidence = _facts(test), _evidence(test, plugins)
    addresses = (None,) if test.message is None else test.message.recipients
    rulings = []
    for address in addresses:
        ruling = judge(facts, evidence, None if address is None else _recipient(address, test.given), stage=stage)
        if ruling is not None:
            rulings.append(ruling)
    differences = [text for ruling in rulings for text in differences_of(test, ruling)]
    return TestResult(test, tuple(rulings), tuple(differences))


def differences_of(test: PolicyTest, ruling: Ruling) -> list[str]:
    """What this ruling has that the test did not expect; empty when it is as expected."""
    expected = test.expected.get(ruling.recipient)
    if expected is None:
        return []
    found = []
    got = _decided_by(ruling)
    who = ruling.recipient or "the login"
    if expected.verdict is not None and expected.verdict != ruling.verdict.value:
        found.append(f"{who}: expected {expected.verdict}, got {ruling.verdict.value} ({got})")
    if expected.rule is not None and (ruling.source.kind, ruling.source.name) != ("rule", expected.rule):
        found.append(f"{who}: expected rule '{expected.rule}', got {got}")
    if expected.score is not None and expected.score != ruling.score:
        found.append(f"{who}: expected score {expected.score:g}, got {ruling.score:g}")
    return found


def _decided_by(ruling: Ruling) -> str:
    source = ruling.source
    place = f" at {source.where}" if source.where else ""
    text = {"rule": f"rule '{source.name}'", "limit": source.name, "floor": source.name}.get(source.kind, "no rule and no limit")
    return f"{text}{place}, score {ruling.score:g}"


def _facts(test: PolicyTest) -> dict[str, FactValue]:
    message = test.message
    if message is None:
        return dict(test.given)
    sender, author = message.mail_from, message.author or message.mail_from
    facts: dict[str, FactValue] = {
        "mail_from.address": "" if sender is None else str(sender),
        "mail_from.domain": "" if sender is None else sender.domain,
        "mail_from.is_null": sender is None,
        "author.address": "" if author is None else str(author),
        "author.domain": "" if author is None else author.domain,
        "message.subject": message.subject,
        "message.size_octets": len(message.text),
    }
    return {**facts, **{name: value for name, value in test.given.items() if name != SYMBOLS}}


def _evidence(test: PolicyTest, plugins: Mapping[str, PluginPolicy]) -> EvidenceSet:
    """Calls that found the given symbols. A plugin whose given status is failed has failed."""
    calls = [
        HookCall(
            plugin, "test", "inspect_message", "message", 0.0, "ok", None, (StoredFinding(plugin, symbol, "given by the test"),)
        )
        for plugin, symbol in test.symbols
    ]
    facts = {name: value for name, value in test.given.items() if name.partition(".")[0] in plugins}
    return EvidenceSet(tuple(calls), facts)


def _recipient(address: Address, given: Mapping[str, FactValue]) -> RecipientFacts:
    known = (given.get(f"recipient.{name}", ()) for name in ("mailboxes", "groups"))
    mailboxes, groups = (value if isinstance(value, tuple) else () for value in known)
    is_local = bool(given.get("recipient.is_local", True))
    tag = given.get("recipient.tag")
    return RecipientFacts.of(
        ForwardPath(address),
        is_local=is_local,
        tag=None if tag is None else str(tag),
        mailboxes=tuple(name.lower() for name in mailboxes),
        groups=groups,
    )


def eicar() -> bytes:
    """The EICAR antivirus test file: harmless, and malware to every scanner by agreement."""
    return "".join(EICAR_HALVES).encode("ascii")


def live_message(wanted: TestMessage) -> tuple[Envelope, bytes]:
    """The envelope and the octets (CRLF line ends) of a test's message, for `mailward policy test`."""
    mail = EmailMessage()
    author = wanted.author or wanted.mail_from or Address("postmaster", "localhost.invalid")
    mail["From"] = str(author)
    mail["To"] = ", ".join(str(address) for address in wanted.recipients)
    mail["Subject"] = wanted.subject
    mail["Date"] = "Thu, 01 Jan 2026 00:00:00 +0000"
    mail["Message-ID"] = "<policy-test@localhost.invalid>"
    mail.set_content(wanted.text + "\n")
    if wanted.attach_eicar:
        mail.add_attachment(eicar(), maintype="application", subtype="octet-stream", filename="eicar.com")
    reverse_path = NULL_REVERSE_PATH if wanted.mail_from is None else ReversePath(wanted.mail_from)
    return Envelope(reverse_path, tuple(ForwardPath(address) for address in wanted.recipients)), mail.as_bytes(policy=SMTP)
