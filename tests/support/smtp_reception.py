"""A reception desk for tests: the real directory and decision store, a judge that obeys words in the message, a spool in memory.

The spool stands in for the disk so that a test can fail or hold each of its calls and see what the peer is told.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from mailward.decisions.store import DecisionStore
from mailward.directory.directory import Directory
from mailward.formats.message import MessageView
from mailward.formats.srs import Srs
from mailward.intake.allowances import Allowances
from mailward.intake.desk import Desk
from mailward.intake.receipts import Receipts
from mailward.intake.reception import Reception
from mailward.intake.relaying import RelayGuard
from mailward.intake.submission import SubmissionRights
from mailward.model.address import Address, ForwardPath
from mailward.model.decision import DecisionRecord, RecipientDecision, utc_text
from mailward.model.edits import AddHeader
from mailward.model.envelope import Envelope
from mailward.model.evidence import AuthResult
from mailward.model.ids import QueueId, SessionId
from mailward.model.replies import LOCAL_ERROR, REJECTED
from mailward.model.reply import Reply, reply
from mailward.model.session import Role, Session, TlsFacts
from mailward.model.verdict import Source, Verdict
from mailward.pipeline.chain import Chain
from mailward.pipeline.meeting import Meeting
from mailward.pipeline.transaction import Judgement
from mailward.policy.ruling import RecipientFacts, Ruling, accepted, separate
from mailward.protocol.smtp.events import Asked, Event
from mailward.protocol.smtp.states import Limits
from mailward.queue.item import QueueItem
from mailward.services.hourly import Hourly, HourlyLimits
from mailward.testing import FakeClock
from support.plain_book import PlainAuthenticator
from support.smtp_machine import machine

T = TypeVar("T")
SRS = Srs([b"a key"], lambda: 20_000)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class WordTrial:
    """The verdict is the first of these words that the message holds; one of `later@` recipients is deferred at RCPT.

    Where each recipient gets a reply, the words hold for bob alone.
    """

    seen: list[str]

    async def mail(self, session: Session, envelope: Envelope) -> Reply | None:
        self.seen.append(f"mail {envelope.reverse_path}")
        return REJECTED if "refused@" in str(envelope.reverse_path) else None

    async def rcpt(
        self, session: Session, envelope: Envelope, forward_path: ForwardPath, recipient: RecipientFacts
    ) -> Reply | None:
        self.seen.append(f"rcpt {recipient.address} after {len(envelope.forward_paths)}")
        return reply(451, "4.7.1", "Greylisted") if recipient.local_part.endswith("+later") else None

    def refusal(
        self, queue_id: QueueId, session: Session, envelope: Envelope, reply: Reply, recipient: RecipientFacts | None = None
    ) -> DecisionRecord:
        verdict = "tempfail" if 400 <= reply.code < 500 else "reject"
        address = "" if recipient is None else recipient.address
        decisions = (RecipientDecision(address, verdict, 0.0, "rule", "early", "inbound.yaml:2:1"),)
        return _record(queue_id, session, envelope, None, decisions, reply)

    async def message(
        self, queue_id: QueueId, session: Session, envelope: Envelope, recipients: Sequence[RecipientFacts], message: MessageView
    ) -> Judgement:
        octets = bytes(message.octets)
        self.seen.append(f"message for {len(recipients)}")
        if b"RAISE" in octets:
            raise RuntimeError("a secret that the peer must not see")
        words = ("reject", "tempfail", "quarantine", "junk", "discard")
        verdict = next((word for word in words if word.upper().encode() in octets), "accept")
        if session.lmtp or envelope.parameters.prdr:
            return self._each(queue_id, session, envelope, recipients, message, Verdict(verdict))
        answers = {"reject": REJECTED, "tempfail": LOCAL_ERROR}
        answer = answers.get(verdict, accepted(queue_id))
        decisions = tuple(RecipientDecision(r.address, verdict, 1.5, "rule", "words", "inbound.yaml:1:1") for r in recipients)
        record = _record(queue_id, session, envelope, message, decisions, answer)
        spf = AuthResult("spf", "pass", (("smtp.mailfrom", "example.net"),))
        return Judgement(answer, decisions, (AddHeader("X-Seen", "yes"),), tuple(() for _ in recipients), (spf,), record)

    def _each(
        self,
        queue_id: QueueId,
        session: Session,
        envelope: Envelope,
        recipients: Sequence[RecipientFacts],
        message: MessageView,
        word: Verdict,
    ) -> Judgement:
        source = Source("rule", "words", "inbound.yaml:1:1")
        outcome = separate(
            [Ruling(r.address, word if r.local_part == "bob" else Verdict.ACCEPT, 1.5, source) for r in recipients], queue_id
        )
        record = _record(queue_id, session, envelope, message, outcome.decisions, outcome.reply)
        return Judgement(outcome.reply, outcome.decisions, (), tuple(() for _ in recipients), (), record, outcome.replies)


def _record(
    id: QueueId,
    session: Session,
    envelope: Envelope,
    message: MessageView | None,
    decisions: tuple[RecipientDecision, ...],
    answer: Reply,
) -> DecisionRecord:
    return DecisionRecord(
        id=id,
        received_at=utc_text(NOW),
        direction="inbound",
        session={"peer.ip": session.peer_ip},
        reverse_path=str(envelope.reverse_path),
        message_id="" if message is None else message.message_id,
        size_octets=0 if message is None else message.size_octets,
        recipients=decisions,
        reply=str(answer),
        policy_hash="0",
    )


@dataclass
class WordJudge:
    replies: dict[str, str] = field(default_factory=dict)
    needs_rdns: bool = False
    chain: Chain = field(default_factory=lambda: Chain(()))
    meetings: list[Meeting] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    trials: int = 0
    roles: list[Role] = field(default_factory=list)

    def of(self, role: Role) -> "WordJudge":
        self.roles.append(role)
        return self

    def meet(self) -> Meeting:
        self.meetings.append(Meeting(self.chain))
        return self.meetings[-1]

    def begin(self, session: Session, meeting: Meeting | None = None) -> WordTrial:
        self.trials += 1
        return WordTrial(self.seen)


class MemoryIncoming:
    def __init__(self, spool: "MemorySpool") -> None:
        self._spool = spool
        self._parts: list[bytes] = []
        self._ended = False

    @property
    def is_on_disk(self) -> bool:
        return self._spool.is_large

    @property
    def octets(self) -> bytes:
        return b"".join(self._parts)

    def write(self, octets: bytes) -> None:
        self._spool.fail("write")
        self._parts.append(octets)

    async def commit(self, item: QueueItem) -> None:
        self._spool.committing.set()
        if self._spool.gate is not None:
            await self._spool.gate.wait()
        self._spool.fail("commit")
        self._spool.open -= 1
        self._spool.items.append((item, self.octets))

    def abort(self) -> None:
        if not self._ended:
            self._ended = True
            self._spool.open -= 1
            self._spool.aborted += 1


class MemorySpool:
    """errors: call name -> what it raises. gate: commits wait for it. open: messages begun and neither committed nor aborted.

    is_large: every message is on the disk before its end.
    """

    def __init__(self) -> None:
        self.items: list[tuple[QueueItem, bytes]] = []
        self.errors: dict[str, Exception] = {}
        self.gate: asyncio.Event | None = None
        self.committing = asyncio.Event()
        self.open = 0
        self.aborted = 0
        self.is_large = False

    def begin(self, id: QueueId, /) -> MemoryIncoming:
        self.fail("begin")
        self.open += 1
        return MemoryIncoming(self)

    def fail(self, call: str) -> None:
        if call in self.errors:
            raise self.errors[call]


async def in_thread(function: Callable[[], T]) -> T:
    return await asyncio.to_thread(function)


@dataclass
class Post:
    """Everything a test of reception looks at."""

    desk: Desk
    spool: MemorySpool
    judge: WordJudge
    decisions: DecisionStore
    told: list[QueueItem]
    free_octets: list[int]
    logins: PlainAuthenticator


def post(folder: Path, strangers: HourlyLimits | None = None, accounts: HourlyLimits | None = None) -> Post:
    """example.org with alice (alias postmaster) and bob, void.example routed to nowhere; 1 GB of disk, 1 MB wanted.

    Their passwords are "secret" and "hidden".
    """
    directory = Directory(folder / "directory.sqlite")
    directory.add_domain("example.org")
    account = directory.add_account(Address("alice", "example.org"))
    bob = directory.add_account(Address("bob", "example.org"))
    directory.add_address(Address("postmaster", "example.org"), account)
    spool, judge, free = MemorySpool(), WordJudge(), [10**9]
    told: list[QueueItem] = []
    logins = PlainAuthenticator({"alice@example.org": (account, "secret"), "bob@example.org": (bob, "hidden")}.get)
    decisions = DecisionStore(folder / "decisions.sqlite")
    desk = Desk(
        hostname="mx.example.org",
        judge=judge.of,
        guard=RelayGuard(directory, SRS, {"void.example", "gateway.example"}, {"void.example"}),
        rights=SubmissionRights(directory),
        authenticator=logins,
        spool=spool,
        decisions=decisions,
        receipts=Receipts(decisions, in_thread),
        clock=FakeClock(NOW),
        run_blocking=in_thread,
        on_committed=told.append,
        free_octets=lambda: free[0],
        least_free_octets=10**6,
        allowances=Allowances(Hourly(strangers or HourlyLimits()), Hourly(accounts or HourlyLimits())),
    )
    return Post(desk, spool, judge, decisions, told, free, logins)


class Talk:
    """Machine and reception joined as the adapter joins them, without a socket. On a submission listener TLS is on."""

    def __init__(self, desk: Post, role: Role = Role.MX, *, lmtp: bool = False) -> None:
        listener = "lmtp" if lmtp else "mx" if role is Role.MX else "submissions"
        tls = None if role is Role.MX else TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384")
        session = Session(SessionId("s"), role, listener, "192.0.2.1", datetime(2026, 1, 2, tzinfo=UTC), tls=tls, lmtp=lmtp)
        self.machine = machine(listener, Limits())
        self.reception = Reception(desk.desk, session)
        self.machine.greet()
        self.machine.data_to_send()

    async def say(self, *lines: str | bytes) -> list[str]:
        """Replies to all lines, each sent by itself."""
        for line in lines:
            octets = line if isinstance(line, bytes) else line.encode() + b"\r\n"
            events: list[Event] = self.machine.receive_data(octets)
            while events:
                last = events[-1]
                for event in events[:-1] if isinstance(last, Asked) else events:
                    self.reception.inform(event)
                events = self.machine.decide(await self.reception.answer(last)) if isinstance(last, Asked) else []
        return self.machine.data_to_send().decode().splitlines()

    async def send(self, message: bytes, *rcpts: str, mail_from: str = "a@example.net") -> str:
        """The reply to the end of data."""
        to = [f"RCPT TO:<{rcpt}>" for rcpt in rcpts or ("alice@example.org",)]
        replies = await self.say("EHLO c.example.net", f"MAIL FROM:<{mail_from}>", *to, "DATA")
        assert replies[-1].startswith("354"), replies
        return (await self.say(message + b".\r\n"))[-1]
