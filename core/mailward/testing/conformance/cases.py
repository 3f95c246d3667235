"""With what is each hook called? Every message with many sessions and envelopes; logins, relaying, moves and days likewise."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from mailward.api import (
    Delivery,
    EnvelopeView,
    ForwardPath,
    Identity,
    LoginAttempt,
    LoginOutcome,
    MailHost,
    MessageClassified,
    MessageMoved,
    MessageView,
    Relaying,
    RelayingAttempt,
    Secret,
    SessionView,
    TlsLevel,
    TlsSession,
)
from mailward.model.tls import NO_POLICY
from mailward.pipeline.facts import message_facts
from mailward.testing.calling import ORDINARY, argument_types
from mailward.testing.conformance.corpus import Kind, messages
from mailward.testing.making import (
    TLS,
    make_attempt,
    make_classified,
    make_delivery,
    make_envelope,
    make_forward_path,
    make_host,
    make_identity,
    make_login,
    make_moved,
    make_outcome,
    make_relaying,
    make_secret,
    make_session,
)

Maker = Callable[[], object]

_TLS_SESSION = TlsSession(NO_POLICY, "mx.example.net", "192.0.2.25", "192.0.2.1", TlsLevel.OPPORTUNISTIC)

_OTHERS: Mapping[Kind, Mapping[object, Sequence[Maker]]] = {
    "ordinary": {
        SessionView: [
            make_session,
            lambda: make_session("2001:db8::1", "[IPv6:2001:db8::1]", tls=TLS),
            lambda: make_session("198.51.100.7", user="recipient@example.org"),
            lambda: make_session("127.0.0.1", "localhost", lmtp=True),
        ],
        EnvelopeView: [
            make_envelope,
            lambda: make_envelope("", "bob@example.org"),
            lambda: make_envelope("list-owner@example.net", ["bob@example.org", "ann+tag@example.org"]),
        ],
        LoginAttempt: [make_login, lambda: make_login("alice", ip="2001:db8::2", protocol="smtp", mechanism="SCRAM-SHA-256")],
        Secret: [make_secret, lambda: Secret(None)],
        Identity: [make_identity, lambda: make_identity("ann@example.org", ["staff"])],
        LoginOutcome: [lambda word=word: make_outcome(word) for word in ("accepted", "refused", "unavailable")],  # type: ignore[misc]
        Delivery: [
            make_delivery,
            lambda: make_delivery("ann+lists@example.org", ["lists"]),
            lambda: make_delivery("ann+work.bills@example.org", ["work", "work/bills"], mail_from=""),
        ],
        Relaying: [
            make_relaying,
            lambda: make_relaying(origin="server", mail_from="", tls_optional=True),
            lambda: make_relaying("example.com", origin="inbound", rcpt=["a@example.com", "b@example.com"]),
        ],
        MailHost: [make_host, lambda: make_host("192.0.2.25", 2525, is_routed=True), lambda: make_host(is_certain=True)],
        RelayingAttempt: [make_attempt, lambda: make_attempt(result="temporary", sessions=[_TLS_SESSION])],
        MessageMoved: [make_moved, lambda: make_moved(source="Junk", target="INBOX"), lambda: make_moved(target="Trash")],
        MessageClassified: [make_classified, lambda: make_classified(kind="ham"), lambda: make_classified(by="keyword")],
        str | None: [lambda: None, lambda: "123456"],
    },
    "huge": {
        Delivery: [lambda: make_delivery(f"ann+{'l' * 60}@example.org", [f"folder {number}" for number in range(5000)])],
        EnvelopeView: [lambda: make_envelope(rcpt=[f"user{number}@example.org" for number in range(1000)])],
        LoginAttempt: [lambda: make_login("n" * 1000)],
        Secret: [lambda: Secret("s" * 1000)],
        str | None: [lambda: "1" * 1000],
    },
    "hostile": {
        SessionView: [
            lambda: make_session("192.0.2.1", None),
            lambda: make_session("::ffff:192.0.2.1", "a" * 255),
            lambda: make_session("fe80::1", "\x1b[2J..%s{0}"),
            lambda: make_session("", "[192.0.2.1"),
        ],
        EnvelopeView: [
            lambda: make_envelope('"a\\"b c"@example.net', '"@"@example.org'),
            lambda: make_envelope("ü@xn--bcher-kva.example", "bob@[192.0.2.1]"),
            lambda: make_envelope(f"{'l' * 64}@{'d' * 60}.example"),
        ],
        ForwardPath: [
            lambda: make_forward_path("bob@[192.0.2.1]"),
            lambda: make_forward_path('"a\\"b c"@example.net'),
            lambda: make_forward_path("\u00fc@example.org"),
        ],
        Delivery: [
            lambda detail=detail: make_delivery(f"ann+{detail}@example.org", ["Lists", "lists", "\u00fc/\u0130", "%00"])  # type: ignore[misc]
            for detail in ("INBOX", "trash", "../x", "a//b", "LISTS", "u\u0308.i\u0307", "%00", " ", "+", "\u202e")
        ],
        LoginAttempt: [lambda name=name: make_login(name, tls=None) for name in ("", "\0", "../../x", "ü" * 300, "a\r\nb")],  # type: ignore[misc]
        Secret: [lambda: Secret(""), lambda: Secret("\0\x1b ü"), lambda: Secret(None)],
        str | None: [lambda: "", lambda: "\u0661\u0662\u0663\u0664\u0665\u0666", lambda: "-1"],
        Relaying: [lambda: make_relaying("[192.0.2.25]", rcpt="a@[192.0.2.25]"), lambda: make_relaying("xn--bcher-kva.example")],
        MailHost: [lambda: make_host("a" * 63 + ".example"), lambda: make_host("2001:db8::25")],
        date: [lambda: date(1, 1, 1), lambda: date(9999, 12, 31)],
    },
}
"""The first are what a test takes when it takes one. Where a kind has none of its own, the ordinary ones are used."""


@dataclass(frozen=True, slots=True)
class Case:
    """One call. name: for people. arguments: all of the specification's but evidence, settings and services."""

    name: str
    hook: str
    kind: Kind
    arguments: Mapping[str, object]


def cases(hook: str, kind: Kind, more: Mapping[str, bytes] | None = None) -> Iterator[Case]:
    """Calls of one hook, enough that each of its values of this kind has its turn. more: messages of the author's own."""
    types = argument_types(hook)
    values = {argument: _values(of, kind, more or {}) for argument, of in types.items()}
    for turn in range(max((len(of) for of in values.values()), default=1)):
        chosen = {argument: of[turn % len(of)] for argument, of in values.items()}
        name = next((title for title, _ in chosen.values() if title), f"{kind} {turn + 1}")
        yield Case(name, hook, kind, {argument: make() for argument, (_, make) in chosen.items()})


def _values(of: object, kind: Kind, more: Mapping[str, bytes]) -> list[tuple[str, Maker]]:
    if of is MessageView:
        return [(name, lambda octets=octets: _read(octets)) for name, octets in {**messages(kind), **more}.items()]  # type: ignore[misc]
    makers = _OTHERS[kind].get(of) or _OTHERS["ordinary"].get(of) or [ORDINARY[of]]
    told = {MessageMoved: lambda octets: make_moved(octets), MessageClassified: lambda octets: make_classified(octets)}.get(of)  # type: ignore[call-overload]
    if told is None:
        return [("", maker) for maker in makers]
    of_messages = [(name, lambda octets=octets: told(octets)) for name, octets in {**messages(kind), **more}.items()]
    return [*(("", maker) for maker in makers if kind == "ordinary"), *of_messages]


def _read(octets: bytes) -> MessageView:
    """Indexed, as the server does it before any hook may look."""
    message = MessageView(octets)
    message_facts(message)
    return message
