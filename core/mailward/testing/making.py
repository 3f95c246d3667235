"""The values that hooks are given, in one line: each function makes an ordinary one and takes what a test wants otherwise."""

import email.message
import email.policy
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Literal

from mailward.api import (
    Delivery,
    EnvelopeView,
    Evidence,
    Facts,
    Finding,
    Folder,
    ForwardPath,
    Identity,
    LoginAttempt,
    LoginOutcome,
    LoginProtocol,
    MailHost,
    MessageClassified,
    MessageMoved,
    MessageView,
    Origin,
    Relaying,
    RelayingAttempt,
    RelayOutcome,
    ReverseName,
    ReversePath,
    Role,
    Secret,
    SessionView,
    TlsFacts,
    TlsSession,
)
from mailward.formats.address import parse_mailbox
from mailward.model.ids import AccountId, QueueId, SessionId

HOSTNAME = "mx.example.org"
AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""When everything in a test happens, unless it says otherwise; `FakeClock` stands there, too."""
TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384")
SENDER = "sender@example.net"
RECIPIENT = "recipient@example.org"


def make_mail(
    text: str = "Shall we have lunch?\n",
    *,
    author: str = f"Ann Sender <{SENDER}>",
    to: str = RECIPIENT,
    subject: str = "Lunch",
    html: str = "",
    attach: Mapping[str, bytes] | None = None,
    fields: Mapping[str, str] | None = None,
) -> bytes:
    """A well-formed message (RFC 5322, RFC 2045), the same octets each time.

    html: the other half of a multipart/alternative. attach: file name -> content. fields: further header fields, placed first.
    A message that is not well formed is written by hand: every function and fixture here takes octets.
    """
    made = email.message.EmailMessage(email.policy.SMTP)
    for name, value in (fields or {}).items():
        made[name] = value
    made["From"] = author
    made["To"] = to
    made["Subject"] = subject
    made["Date"] = AT
    made["Message-ID"] = "<1@example.net>"
    made.set_content(text)
    if html:
        made.add_alternative(html, subtype="html")
    for name, content in (attach or {}).items():
        made.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    for number, part in enumerate(part for part in made.walk() if part.is_multipart()):
        part.set_boundary(f"boundary-{number}")
    return made.as_bytes()


def as_octets(mail: bytes | str) -> bytes:
    """A str, or octets without any CRLF, with CRLF line ends; other octets as they are."""
    octets = mail.encode("utf-8") if isinstance(mail, str) else mail
    return octets if b"\r\n" in octets else octets.replace(b"\n", b"\r\n")


def make_message(mail: bytes | str | None = None) -> MessageView:
    """The view of a message: of `make_mail()` unless given."""
    return MessageView(make_mail() if mail is None else as_octets(mail))


def make_session(
    ip: str = "192.0.2.1",
    helo: str | None = "mail.example.net",
    *,
    user: str = "",
    tls: TlsFacts | None = None,
    lmtp: bool = False,
    rdns: ReverseName | None = None,
) -> SessionView:
    """A peer that has greeted. user: the address of one who has logged in to submit; then TLS is there as well."""
    identity = make_identity(user) if user else None
    role, listener = (Role.SUBMISSION, "submission") if user else (Role.MX, "mx")
    facts = tls or (TLS if user else None)
    return SessionView(SessionId("s" * 16), role, listener, ip, AT, helo, helo is not None, facts, identity, lmtp, rdns, HOSTNAME)


def make_envelope(mail_from: str = SENDER, rcpt: str | Sequence[str] = RECIPIENT) -> EnvelopeView:
    """mail_from: "" is the null reverse-path. rcpt: one or several; () as at MAIL, before the first."""
    paths = tuple(ForwardPath(parse_mailbox(one)) for one in ([rcpt] if isinstance(rcpt, str) else rcpt))
    return EnvelopeView(ReversePath(parse_mailbox(mail_from) if mail_from else None), paths)


def make_forward_path(address: str = RECIPIENT) -> ForwardPath:
    """One recipient, as RCPT gives it."""
    return ForwardPath(parse_mailbox(address))


def make_evidence(**findings: Finding | Sequence[Finding]) -> Evidence:
    """What other plugins have found, by plugin name: make_evidence(spf=Finding(None, "passes", facts=SpfFacts("pass")))."""
    pairs = [(name, one) for name, found in findings.items() for one in ([found] if isinstance(found, Finding) else found)]
    facts: dict[str, Facts] = {name: one.facts for name, one in pairs if one.facts is not None}
    return Evidence(facts, tuple(pairs), dict.fromkeys(findings, "ok"))


def make_login(
    name: str = RECIPIENT,
    *,
    ip: str = "192.0.2.1",
    protocol: LoginProtocol = "imap",
    mechanism: str = "PLAIN",
    tls: TlsFacts | None = TLS,
) -> LoginAttempt:
    """An attempt to log in."""
    return LoginAttempt(protocol, "test", ip, tls, mechanism, name)


def make_secret(password: str = "correct horse") -> Secret:  # noqa: S107  nobody's
    """What the client gave to prove its name."""
    return Secret(password)


def make_identity(user: str = RECIPIENT, groups: Sequence[str] = ()) -> Identity:
    """Somebody who has logged in."""
    return Identity(AccountId(user), user, tuple(groups))


def make_outcome(result: Literal["accepted", "refused", "unavailable"] = "accepted", user: str = RECIPIENT) -> LoginOutcome:
    """How an attempt to log in ended."""
    return LoginOutcome(result, make_identity(user) if result == "accepted" else None, f"{result} in a test")


def make_delivery(
    rcpt: str = RECIPIENT,
    folders: Sequence[str] = (),
    *,
    mail_from: str = SENDER,
    special_uses: Mapping[str, str] | None = None,
) -> Delivery:
    """A copy on its way into the mailbox of a user who has these folders beside the usual ones; behind a "+" stands the detail.

    special_uses: folder -> "\\Trash" and so on, of those that are not usual.
    """
    usual = {"INBOX": "", "Drafts": "\\Drafts", "Sent": "\\Sent", "Junk": "\\Junk", "Trash": "\\Trash", "Archive": "\\Archive"}
    uses = usual | dict.fromkeys(folders, "") | dict(special_uses or {})
    user, _, detail = rcpt.rpartition("@")[0].partition("+")
    return Delivery(
        QueueId("q" * 16), AccountId(user), mail_from, rcpt, detail, tuple(Folder(name, use) for name, use in uses.items())
    )


def make_relaying(
    domain: str = "example.net",
    *,
    mail_from: str = RECIPIENT,
    rcpt: str | Sequence[str] = (),
    origin: Origin = "submission",
    tls_optional: bool = False,
) -> Relaying:
    """A message on its way to another domain: a user's, who is its author as well. rcpt: of that domain, one unless given."""
    paths = (rcpt,) if isinstance(rcpt, str) else tuple(rcpt) or (f"somebody@{domain}",)
    user = mail_from if origin == "submission" else ""
    return Relaying(QueueId("q" * 16), domain, origin, user, mail_from, paths, tls_optional)


def make_host(name: str = "mx.example.net", port: int = 25, *, is_certain: bool = False, is_routed: bool = False) -> MailHost:
    """A host that a message may go to."""
    return MailHost(name, port, is_certain, is_routed)


def make_attempt(
    relaying: Relaying | None = None,
    result: Literal["accepted", "temporary", "permanent"] = "accepted",
    sessions: Sequence[TlsSession] = (),
    at: datetime = AT,
) -> RelayingAttempt:
    """An attempt to hand a message to another domain's servers that has ended the same way for each of its forward-paths."""
    relaying = relaying or make_relaying()
    status, words = {"accepted": ("2.0.0", "Ok"), "temporary": ("4.2.0", "Later"), "permanent": ("5.1.1", "Nobody here")}[result]
    return RelayingAttempt(
        relaying, at, tuple(sessions), tuple(RelayOutcome(p, result, status, words) for p in relaying.forward_paths)
    )


def make_moved(
    mail: bytes | str | None = None, *, source: str = "INBOX", target: str = "Junk", account: str = RECIPIENT
) -> MessageMoved:
    """A message that a person moved between mailboxes."""
    octets = make_message(mail).octets
    return MessageMoved(account, source, target, bytes(octets), source == "Junk", target == "Junk", target == "Trash")


def make_classified(
    mail: bytes | str | None = None,
    kind: Literal["ham", "spam"] = "spam",
    by: Literal["release", "train", "keyword"] = "train",
) -> MessageClassified:
    """A message of which a person has said what it is."""
    return MessageClassified(RECIPIENT, bytes(make_message(mail).octets), kind, by)


def make_day() -> date:
    """A day that has ended."""
    return AT.date()
