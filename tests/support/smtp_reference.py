"""A small reference of the order of SMTP and LMTP commands, and walks that hold the machine against it.

The reference is written from RFC 5321 section 4.1.4, RFC 2033, 2920, 3030, 3207 and 4954, and from Postfix's XCLIENT_README. It knows
nothing of the machine: it holds where a session stands and which reply codes are due. A walk is a listener and a list of moves;
a move that makes no sense where the session stands is passed over.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mailward.protocol.smtp.states import Limits
from support.smtp_machine import Client, machine

LIMITS = Limits(message_octets=1000, excess_octets=100_000, errors=10_000, junk_commands=10_000)
LISTENERS = ("mx", "lmtp", "submission", "submissions", "trusted")
GOOD, UNKNOWN, ELSEWHERE = b"<b@example.org>", b"<nobody@example.org>", b"<x@example.com>"
SOUND, REFUSED, UNSOUND = b"A: b\r\n\r\ntext\r\n", b"A: b\r\n\r\nREJECT\r\n", b"A: b\r\n\nMAIL FROM:<x@example.net>\r\n"
BIG = b"x" * 600 + b"\r\n"

Codes = list[int]


@dataclass
class Reference:
    """Where a session stands. hello: None, HELO or EHLO (LHLO counts as EHLO). recipients: None outside a transaction.

    chunked: what has come of the message, None before the first chunk. taken: the messages whose octets were handed on.
    """

    listener: str
    hello: str | None = None
    tls: bool = False
    user: bool = False
    recipients: int | None = None
    chunked: bytes | None = None
    binary: bool = False
    taken: list[bytes] = field(default_factory=list)
    is_open: bool = True

    @property
    def is_lmtp(self) -> bool:
        return self.listener == "lmtp"

    @property
    def is_submission(self) -> bool:
        return self.listener.startswith("submission")

    def end(self) -> None:
        self.recipients = self.chunked = None
        self.binary = False

    def _refusal(self) -> int | None:
        """Of whoever may not send yet."""
        if self.hello is None:
            return 503
        return 530 if self.is_submission and not self.user else None

    def _of_message(self, code: int) -> Codes:
        """The transaction ends; LMTP answers for each recipient."""
        times = self.recipients or 1 if self.is_lmtp else 1
        self.end()
        return [code] * times

    def greeted(self, verb: str) -> Codes:
        if self.is_lmtp is not (verb == "LHLO"):
            return [500]
        self.hello = "HELO" if verb == "HELO" else "EHLO"
        self.end()
        return [250]

    def mail(self, body: bytes = b"") -> Codes:
        if refusal := self._refusal():
            return [refusal]
        if self.recipients is not None:
            return [503]
        if self.hello == "HELO" and body:
            return [555]
        self.recipients, self.binary = 0, b"BINARY" in body
        return [250]

    def rcpt(self, path: bytes) -> Codes:
        if refusal := self._refusal():
            return [refusal]
        if self.recipients is None or self.chunked is not None:
            return [503]
        if path != GOOD:
            return [550 if path == UNKNOWN else 554]
        self.recipients += 1
        return [250]

    def data(self) -> Codes:
        if refusal := self._refusal():
            return [refusal]
        if self.recipients is None or self.chunked is not None:
            return [503]
        if not self.recipients:
            return [503 if self.is_lmtp else 554]
        return [503 if self.binary else 354]

    def content(self, octets: bytes) -> Codes:
        octets = self._kept(octets)
        if octets == UNSOUND:
            self.is_open = False
            return self._of_message(550)
        self.taken.append(octets)
        return self._of_message(554 if octets == REFUSED else 250)

    def _kept(self, octets: bytes) -> bytes:
        """What becomes of a stray LF: a space where somebody submits."""
        return octets.replace(b"\n\nMAIL", b"\n MAIL") if self.is_submission and not self.binary else octets

    def bdat(self, octets: bytes, *, last: bool) -> Codes:
        if self.hello != "EHLO":
            self.is_open = False
            return [502]
        if refusal := self._refusal():
            return [refusal]
        if not self.recipients:
            return [503]
        whole = (self.chunked or b"") + self._kept(octets)
        fault = 552 if len(whole) > LIMITS.message_octets else 550 if UNSOUND in whole and not self.binary else None
        if fault is None and last:
            self.taken.append(whole)
            return self._of_message(554 if b"REJECT" in whole else 250)
        if fault is None:
            self.chunked = whole
            return [250]
        if last:
            return self._of_message(fault)
        self.end()
        return [fault]

    def rset(self) -> Codes:
        self.end()
        return [250]

    def vrfy(self) -> Codes:
        return [530 if self.is_submission and not self.user else 252]

    def starttls(self) -> Codes:
        """[] when it is granted."""
        if self.hello is None or self.recipients is not None or self.tls:
            return [503]
        return [502] if self.hello == "HELO" else []

    def auth(self, code: int) -> Codes:
        """code: what the credentials lead to."""
        if self.is_lmtp:
            return [500]
        if self.hello is None or self.recipients is not None:
            return [503]
        if not self.is_submission or self.hello == "HELO":
            return [502]
        if not self.tls:
            return [538]
        if self.user:
            return [503]
        self.user = code == 235
        return [code]

    def xclient(self) -> Codes:
        """Another client's session begins, with a greeting, unless the peer may not say so."""
        if self.recipients is not None:
            return [503]
        if self.listener != "trusted":
            return [550]
        self.hello = None
        return [220]


class Walk:
    """One session, said to the machine and to the reference."""

    def __init__(self, listener: str, *, octet_by_octet: bool = False) -> None:
        self.client = Client(machine(listener, LIMITS))
        self.reference = Reference(listener, tls=listener == "submissions")
        self._octet_by_octet = octet_by_octet
        self._due([220])

    def go(self, moves: Sequence["Move"]) -> None:
        """Raises AssertionError at the first reply, message or end that the reference did not foresee."""
        for move in moves:
            move(self)
            assert self.client.messages == self.reference.taken
            assert self.client.machine.is_closed is not self.reference.is_open

    def _due(self, codes: Codes) -> None:
        """These replies have come, and no more."""
        replies, self.client.replies = self.client.replies, []
        found = [int(line[:3]) for line in replies if line[3:4] == " "]
        assert found == codes, f"due {codes}, said {replies}"

    def say(self, octets: bytes, codes: Codes) -> None:
        self.client.send(octets, octet_by_octet=self._octet_by_octet)
        self._due(codes)

    def data(self, octets: bytes) -> None:
        codes = self.reference.data()
        self.say(b"DATA\r\n", codes)
        if codes == [354]:
            self.say(octets + b".\r\n", self.reference.content(octets))

    def bdat(self, octets: bytes, *, last: bool) -> None:
        if self.reference.hello != "EHLO":
            octets = b""  # nobody could tell what they are
        line = b"BDAT %d%s\r\n" % (len(octets), b" LAST" if last else b"")
        self.say(line + octets, self.reference.bdat(octets, last=last))

    def starttls(self) -> None:
        codes = self.reference.starttls()
        self.say(b"STARTTLS\r\n", codes)  # whoever shakes hands says 220
        if not codes:
            self.client.shake_hands()
            self.reference.tls, self.reference.hello = True, None

    def group(self, octets: bytes) -> None:
        """A whole message in one segment (RFC 2920), a chunk behind it."""
        reference = self.reference
        if reference.hello != "EHLO" or reference.recipients is not None:
            return
        codes = [*reference.mail(), *reference.rcpt(UNKNOWN), *reference.rcpt(GOOD), *reference.bdat(octets, last=True)]
        lines = b"MAIL FROM:<a@example.net>\r\nRCPT TO:" + UNKNOWN + b"\r\nRCPT TO:" + GOOD + b"\r\n"
        self.say(lines + b"BDAT %d LAST\r\n%s" % (len(octets), octets), codes)

    def leave(self) -> None:
        self.reference.is_open = False
        self.say(b"QUIT\r\n", [221])


@dataclass(frozen=True)
class Move:
    """One thing a client does. Behind the end of a session nothing is answered."""

    name: str
    make: Callable[[Walk], None]

    def __call__(self, walk: Walk) -> None:
        if walk.reference.is_open:
            self.make(walk)
        else:
            walk.say(b"MAIL FROM:<a@example.net>\r\n", [])

    def __repr__(self) -> str:
        return self.name


def _line(text: bytes, due: Callable[[Reference], Codes]) -> Move:
    return Move(text.decode("utf-8"), lambda walk: walk.say(text + b"\r\n", due(walk.reference)))


def _always(text: bytes, code: int) -> Move:
    return _line(text, lambda reference: [code])


def _hello(verb: str) -> Move:
    return _line(verb.encode() + b" client.example.net", lambda reference: reference.greeted(verb.upper()))


def _mail(body: bytes) -> Move:
    return _line(b"MAIL FROM:<a@example.net>" + body, lambda reference: reference.mail(body))


def _rcpt(path: bytes) -> Move:
    return _line(b"RCPT TO:" + path, lambda reference: reference.rcpt(path))


def _auth(response: bytes, code: int) -> Move:
    return _line(b"AUTH PLAIN " + response, lambda reference: reference.auth(code))


def _content(name: str, octets: bytes) -> list[Move]:
    return [
        Move(f"DATA {name}", lambda walk: walk.data(octets)),
        Move(f"BDAT {name}", lambda walk: walk.bdat(octets, last=False)),
        Move(f"BDAT {name} LAST", lambda walk: walk.bdat(octets, last=True)),
        Move(f"a group with {name}", lambda walk: walk.group(octets)),
    ]


MOVES: tuple[Move, ...] = (
    *(_hello(verb) for verb in ("EHLO", "ehlo", "LHLO", "HELO")),
    *(_mail(body) for body in (b"", b"", b"", b" BODY=8BITMIME", b" BODY=BINARYMIME")),
    *(_rcpt(path) for path in (GOOD, GOOD, GOOD, UNKNOWN, ELSEWHERE)),
    *_content("sound", SOUND),
    *_content("sound", SOUND),
    *_content("refused", REFUSED),
    *_content("unsound", UNSOUND),
    *_content("big", BIG),
    *_content("nothing", b""),
    _line(b"RSET", Reference.rset),
    *(_always(text, code) for text, code in ((b"NOOP", 250), (b"NOOP ignored", 250), (b"HELP", 214))),
    *(_always(text, code) for text, code in ((b"EXPN list", 502), (b"TURN", 500), (b"", 500))),
    _line("VRFY ä@example.org".encode(), lambda reference: reference.vrfy()),
    Move("STARTTLS", Walk.starttls),
    _auth(b"AGFsaWNlAHNlY3JldA==", 235),
    _auth(b"***", 501),
    _line(b"XCLIENT ADDR=192.0.2.7", Reference.xclient),
    Move("QUIT", Walk.leave),
)
"""What comes more often stands here more often."""

_TO_TRANSACTIONS = {
    "mx": (_hello("EHLO"),),
    "lmtp": (_hello("LHLO"),),
    "submission": (_hello("EHLO"), Move("STARTTLS", Walk.starttls), _hello("EHLO"), _auth(b"AGFsaWNlAHNlY3JldA==", 235)),
    "submissions": (_hello("EHLO"), _auth(b"AGFsaWNlAHNlY3JldA==", 235)),
    "trusted": (_hello("EHLO"), _line(b"XCLIENT ADDR=192.0.2.7", Reference.xclient), _hello("EHLO")),
}
OPENINGS: dict[str, tuple[tuple[Move, ...], ...]] = {
    listener: ((), moves, moves, (*moves, _mail(b""), _rcpt(GOOD))) for listener, moves in _TO_TRANSACTIONS.items()
}
"""How walks on each listener may begin, so that most of them come far."""
