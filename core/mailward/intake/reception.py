"""One SMTP session, from the first command to the 250: what each event of the machine means for judge, directory and spool.

Octets and replies are the machine's (`protocol.smtp`), sockets the adapter's (`net.smtpd`), verdicts the judge's. A 250 for
a message leaves here only after the spool's `commit` returned; whatever fails before is 4xx, and nothing is kept.
"""

import errno
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import structlog

from mailward.directory.forwarding import DELIVERED_TO
from mailward.formats.lines import LineFacts
from mailward.formats.message import MessageView
from mailward.formats.network import network_of
from mailward.intake.accepting import Mail, queue_item
from mailward.intake.authenticating import SessionLogins
from mailward.intake.binary import is_in_lines, write_in_lines
from mailward.intake.desk import Desk
from mailward.intake.peer import Peer
from mailward.intake.ports import Incoming, Trial
from mailward.intake.refusing import (
    RECIPIENTS_A_RECORD,
    SEVERAL_FOR_NULL,
    CoreRefusal,
    core_refusal,
    of_mended,
    refused_by_core,
)
from mailward.intake.relaying import NO_RELAY, Destination
from mailward.intake.scheduling import untimely
from mailward.intake.submission import NOT_YOUR_REVERSE_PATH
from mailward.metering import METERS
from mailward.model.address import ForwardPath
from mailward.model.decision import DecisionRecord, Looked
from mailward.model.envelope import BodyType, Envelope
from mailward.model.errors import LocalError, StorageError
from mailward.model.ids import QueueId, new_queue_id
from mailward.model.metrics import Counter
from mailward.model.replies import (
    INSUFFICIENT_STORAGE,
    LOCAL_ERROR,
    LOGIN_FIRST,
    MAIL_OK,
    NEW_PRIORITY,
    RCPT_OK,
    START_MAIL_INPUT,
    TOO_BUSY,
)
from mailward.model.reply import Reply
from mailward.model.session import Role, Session, TlsFacts
from mailward.pipeline.answered import Answered, noting
from mailward.pipeline.shadowing import Shadowing
from mailward.policy.ruling import RecipientFacts, with_id
from mailward.protocol.smtp.events import (
    Answer,
    Asked,
    AuthAsked,
    AuthResponse,
    Content,
    DataAsked,
    Event,
    Faulted,
    Greeted,
    MailAsked,
    MessageAsked,
    RcptAsked,
    RecipientReplies,
    TransactionDropped,
)
from mailward.queue.item import QueueItem
from mailward.services.room import NoRoomError

VERDICTS = Counter("verdicts", "What was decided, once for each recipient", ("direction", "verdict"))

log = structlog.get_logger("mailward.smtp")

STORED = frozenset({"mailbox", "quarantine"})
"""Routes that keep a copy."""


@dataclass(slots=True)
class _Transaction:
    """Facts of one mail transaction; a new one is made for each, so no verdict can be carried over."""

    id: QueueId
    trial: Trial
    envelope: Envelope
    answered: Answered = field(default_factory=Answered)
    destinations: list[Destination] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)  # for each RCPT that was taken, the place of its destination
    incoming: Incoming | None = None
    write_error: Exception | None = None
    refusal: CoreRefusal | None = None  # of its content, whatever its fields are


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What becomes of one message. item: to be durable before the answer may leave; None when the message is not taken.

    shadowing: what looks at it after the answer; it has a place until it is started or left.
    """

    answer: Answer
    item: QueueItem | None = None
    shadowing: Shadowing | None = None


class Reception:
    """The session's side of a connection. One event at a time."""

    def __init__(self, desk: Desk, session: Session) -> None:
        self._desk = desk
        self.session = session
        self._logins = SessionLogins(desk.authenticator)
        self._peer = Peer(desk.reverse_name)
        self._given_groups: tuple[str, ...] = ()  # of the identity, by who checked the login
        self._transaction: _Transaction | None = None

    def begin(self) -> None:
        """The peer is there."""
        self._peer.came(self.session, self._desk.judge(self.session.role))

    def end(self) -> None:
        """The connection is gone."""
        self.drop()
        self._peer.gone()

    def inform(self, event: Event) -> None:
        """An event that wants no reply. Content goes to the spool; a write that fails is answered at the end of data."""
        match event:
            case Content(octets):
                self._write(octets)
            case Greeted(name, extended):
                self.session = replace(self.session, helo=name, extended=extended)
                self.drop()
                self._peer.greeted(self.session, name)
            case TransactionDropped(why):
                self._log("transaction dropped", why=why)
                self.drop()
            case Faulted(fault):
                self._log("peer fault", fault=fault.name, why=fault.value)

    async def answer(self, event: Asked) -> Answer:
        """The answer to an event that waits. Never raises but for cancellation: an unforeseen failure is 451 4.3.0."""
        try:
            match event:
                case MailAsked():
                    return await self._mail(event)
                case RcptAsked():
                    return await self._rcpt(event)
                case DataAsked():
                    return self._data()
                case MessageAsked():
                    return await self._message(event)
                case AuthAsked() | AuthResponse():
                    return await self._login(event)
        except NoRoomError:
            log.warning("message not judged, others took too long", session=self.session.id)
            return TOO_BUSY
        except (StorageError, OSError) as error:
            log.error("storage failed", session=self.session.id, at=type(event).__name__, error=str(error))
            return _storage_reply(error)
        except Exception:
            log.exception("unforeseen failure", session=self.session.id, at=type(event).__name__)
            return LOCAL_ERROR
        raise LocalError(f"reception has no answer to {type(event).__name__}")

    def tls_started(self, facts: TlsFacts) -> None:
        """Forget what was learnt in clear (RFC 3207 section 4.2)."""
        self.drop()
        self._peer.forget_name()
        self.session = replace(self.session, helo=None, extended=False, tls=facts, identity=None)

    def client_named(self, peer_ip: str) -> None:
        """The session is another client's from now on (XCLIENT)."""
        self.end()
        self._log("client named", client=peer_ip)
        self._logins = SessionLogins(self._desk.authenticator)
        self._peer = Peer(self._desk.reverse_name)
        self.session = replace(self.session, peer_ip=peer_ip, helo=None, extended=False, identity=None, rdns=None)
        self.begin()

    def drop(self) -> None:
        """End the transaction that is open, if any; its octets are forgotten."""
        transaction, self._transaction = self._transaction, None
        if transaction is not None and transaction.incoming is not None:
            transaction.incoming.abort()

    # --- commands ---

    async def _login(self, event: AuthAsked | AuthResponse) -> Answer:
        answer, identity = await self._logins.answer(event, self.session)
        if identity is not None:
            self._given_groups = identity.groups
            self.session = replace(self.session, identity=identity)
        return answer

    async def _mail(self, event: MailAsked) -> Reply:
        desk, session = self._desk, self.session
        if session.role is Role.SUBMISSION:
            if session.identity is None:
                return LOGIN_FIRST
            refusal = await self._logins.refusal(session.identity)
            if refusal is not None:
                self._log("login no longer good", account=session.identity.account, reply=str(refusal))
                return refusal
            identity = replace(session.identity, groups=desk.rights.groups_of(session.identity, self._given_groups))
            session = self.session = replace(session, identity=identity)
            if not desk.rights.may_send_from(identity, event.reverse_path):
                self._log("reverse-path refused", account=identity.account, reverse_path=str(event.reverse_path))
                return await self._refused_by_core(Envelope(event.reverse_path), "", NOT_YOUR_REVERSE_PATH)
        late = untimely(event.parameters, desk.clock.now())
        if late is not None:
            return late
        excess = desk.allowances.message(session)
        if excess is not None:
            return await self._refused_by_core(Envelope(event.reverse_path), "", excess)
        announced = event.parameters.size_octets or 0
        if desk.free_octets() < desk.least_free_octets + announced:
            log.warning("disk nearly full", session=self.session.id)
            return INSUFFICIENT_STORAGE
        parameters = event.parameters
        if parameters.priority > desk.account_priority:
            parameters = replace(parameters, priority=desk.account_priority)
        envelope = Envelope(event.reverse_path, parameters=parameters)
        judge = desk.judge(session.role)
        session = await self._peer.named(session) if judge.needs_rdns else self._peer.named_by_now(session)
        self.session = session
        transaction = _Transaction(new_queue_id(), judge.begin(session, self._peer.meeting), envelope)
        with noting(transaction.answered):
            refusal = await transaction.trial.mail(session, envelope)
        if refusal is not None:
            return await self._refused_early(transaction, transaction.id, refusal)
        self._transaction = transaction
        if parameters.priority != event.parameters.priority:  # RFC 6710 section 4.1
            return NEW_PRIORITY.filled(priority=parameters.priority)
        return MAIL_OK

    async def _rcpt(self, event: RcptAsked) -> Reply:
        transaction = self._open()
        known = transaction.envelope.forward_paths
        is_new = event.forward_path not in known
        excess = self._desk.allowances.further_recipient(self.session) if is_new else None
        if excess is not None:  # before a long alias is followed
            return await self._refused_by_core(transaction.envelope, str(event.forward_path), excess)
        destination = (
            self._destination(event.forward_path) if is_new else transaction.destinations[known.index(event.forward_path)]
        )
        if isinstance(destination, CoreRefusal):
            return await self._refused_by_core(transaction.envelope, str(event.forward_path), destination)
        if self._is_one_too_many_for_null(transaction.envelope, event.forward_path):
            return await self._refused_by_core(transaction.envelope, str(event.forward_path), SEVERAL_FOR_NULL)
        excess = self._desk.allowances.recipient(self.session) if is_new else None
        if excess is not None:
            return await self._refused_by_core(transaction.envelope, str(event.forward_path), excess)
        with noting(transaction.answered):
            refusal = await transaction.trial.rcpt(self.session, transaction.envelope, event.forward_path, destination.facts)
        if refusal is not None:
            # An id of its own: the record of the transaction's other recipients comes under the transaction's.
            return await self._refused_early(transaction, new_queue_id(), refusal, destination.facts)
        not_there = await self._not_there(transaction.envelope, destination) if is_new else None
        if not_there is not None:
            return await self._refused_by_core(transaction.envelope, str(event.forward_path), not_there)
        if is_new:
            transaction.envelope = transaction.envelope.with_recipient(event.forward_path, event.parameters)
            transaction.destinations.append(destination)
        transaction.taken.append(transaction.envelope.forward_paths.index(event.forward_path))
        return RCPT_OK

    async def _not_there(self, envelope: Envelope, destination: Destination) -> CoreRefusal | None:
        """Nobody would get what a stranger sends there, or not now. Asked last: by then the policy would take it."""
        desk = self._desk
        if self.session.identity is not None:
            return None
        if not destination.facts.is_local:
            return None if desk.verifier is None else await desk.verifier.refusal(destination.forward_path)
        if desk.mailbox_room is None:
            return None
        return await desk.mailbox_room.refusal(destination.ends, envelope.parameters.size_octets or 0)

    def _destination(self, forward_path: ForwardPath) -> Destination | CoreRefusal:
        found = self._desk.guard.destination(forward_path, self.session.identity, self._open().envelope.reverse_path)
        if isinstance(found, Destination) and self.session.lmtp and not found.facts.is_local:
            return NO_RELAY  # LMTP is the last hop (RFC 2033 section 1)
        return found

    def _is_one_too_many_for_null(self, envelope: Envelope, forward_path: ForwardPath) -> bool:
        """Reports have one recipient (RFC 3464 section 2); a message from <> for many is spam made up as one (T-RELAY-14)."""
        if envelope.reverse_path.address is not None or not self._desk.null_recipients:
            return False
        return len({*envelope.forward_paths, forward_path}) > self._desk.null_recipients

    async def _refused_early(
        self, transaction: _Transaction, id: QueueId, refusal: Reply, recipient: RecipientFacts | None = None
    ) -> Reply:
        """The policy's refusal of MAIL or RCPT with its id, after it was recorded."""
        answer = with_id(refusal, id, self._texts)
        record = transaction.trial.refusal(id, self.session, transaction.envelope, answer, recipient)
        self._log_verdicts(record)
        await self._keep_refused(record, record.direction)
        return answer

    async def _refused_by_core(self, envelope: Envelope, recipient: str, refusal: CoreRefusal) -> Reply:
        """The same for what the core refuses at MAIL (no recipient: "") or RCPT."""
        id = new_queue_id()
        answer = with_id(refusal.reply, id, self._texts)
        record = refused_by_core(id, self._desk.clock.now(), self.session, envelope, [recipient], refusal, answer)
        self._log_verdicts(record)
        await self._keep_refused(record, record.direction)
        return answer

    async def _keep_refused(self, record: DecisionRecord, budget: str) -> None:
        """budget: what guesses at addresses use up leaves room for messages that were refused."""
        if self._desk.recorded.take(budget, time.monotonic(), 1 + len(record.recipients) // RECIPIENTS_A_RECORD):
            await self._keep(record, self._desk.decisions.add_refused)

    def _data(self) -> Reply:
        transaction = self._open()
        transaction.incoming = self._desk.spool.begin(transaction.id)
        return START_MAIL_INPUT

    def _write(self, octets: bytes) -> None:
        transaction = self._open()
        self._desk.allowances.content(self.session, len(octets))
        if transaction.incoming is None or transaction.write_error is not None:
            return
        try:
            transaction.incoming.write(octets)
            if transaction.incoming.is_on_disk and self._desk.free_octets() < self._desk.least_free_octets:
                raise OSError(errno.ENOSPC, "the disk fills up while mail comes in")
        except (StorageError, OSError) as error:
            transaction.write_error = error
            transaction.incoming.abort()  # its octets are on the disk, and more may come for a long time

    async def _message(self, event: MessageAsked) -> Answer:
        """The end of data. The transaction is over with it, whatever comes of the message (T-STATE-01, T-STATE-02)."""
        transaction, self._transaction = self._open(), None
        if transaction.incoming is None:
            raise LocalError("end of data without DATA")
        try:
            if transaction.write_error is not None:
                raise transaction.write_error
            lines = event.lines
            async with self._desk.room.of(event.size_octets, self._sharer):
                if transaction.envelope.parameters.body is BodyType.BINARY_MIME and not is_in_lines(lines):
                    lines = await self._convert(transaction, transaction.incoming, lines)
                message = MessageView(transaction.incoming.octets, lines)
                outcome = await self._judge(transaction, message, is_mended=event.is_mended)
                if outcome.item is not None:
                    with _left_on_failure(outcome.shadowing):
                        await transaction.incoming.commit(outcome.item)
        except BaseException:
            transaction.incoming.abort()
            raise
        if outcome.shadowing is not None:
            outcome.shadowing.start(partial(self._keep_looked, transaction, outcome.item))
        if outcome.item is None:
            transaction.incoming.abort()
        else:
            self._keep_receipt(transaction, outcome.item)
            self._tell_committed(outcome.item)
            if outcome.item.hold_until:  # nobody who delivers it would keep the record for a long time
                await self._keep(outcome.item.decision, self._desk.decisions.add)
        return outcome.answer

    async def _convert(self, transaction: _Transaction, received: Incoming, lines: LineFacts) -> LineFacts:
        """Put the message in lines in the place of the one received, under an id of its own; what is known of them."""
        id = new_queue_id()
        written = self._desk.spool.begin(id)
        try:
            outcome = await write_in_lines(MessageView(received.octets, lines), written, self._desk.run_blocking)
        except BaseException:
            written.abort()
            raise
        if isinstance(outcome, CoreRefusal):
            written.abort()
            transaction.refusal = outcome
            return lines
        received.abort()
        transaction.id, transaction.incoming = id, written
        return outcome

    async def _judge(self, transaction: _Transaction, message: MessageView, *, is_mended: bool) -> _Outcome:
        at = self._desk.clock.now()
        self.session = self._peer.named_by_now(self.session)
        mail = Mail(transaction.id, at, self.session, transaction.envelope, tuple(transaction.destinations), message)
        passed = [field.value.decode("utf-8", "replace").strip() for field in message.all(DELIVERED_TO)]
        refusal = transaction.refusal or self._core_refusal(message, is_mended=is_mended)
        refusal = refusal or self._desk.guard.circle(mail.destinations, passed)
        if refusal is not None:
            refused = with_id(refusal.reply, mail.id, self._texts)
            addresses = [destination.facts.address for destination in mail.destinations]
            record = refused_by_core(mail.id, at, mail.session, mail.envelope, addresses, refusal, refused, message)
            self._log_verdicts(record)
            await self._keep_refused(record, f"{record.direction} message")
            return _Outcome(refused)
        facts = [destination.facts for destination in mail.destinations]
        with noting(transaction.answered):
            judgement = await transaction.trial.message(mail.id, mail.session, mail.envelope, facts, message)
        with _left_on_failure(judgement.shadowing):
            self._log_verdicts(judgement.record)
            each = tuple(judgement.replies[place] for place in transaction.taken) if judgement.replies else ()
            answer: Answer = RecipientReplies(each, judgement.reply) if each else judgement.reply
            item = queue_item(mail, judgement, self._desk.hostname) if judgement.reply.is_positive else None
            if item is None:
                await self._keep_refused(judgement.record, f"{judgement.record.direction} message")
        return _Outcome(answer, item, judgement.shadowing)

    def _core_refusal(self, message: MessageView, *, is_mended: bool) -> CoreRefusal | None:
        refusal, identity = core_refusal(message, self._desk.hostname), self.session.identity
        if refusal is None and identity is not None:
            refusal = self._desk.rights.refusal(identity, message)
        return of_mended(refusal) if is_mended and refusal is not None else refusal

    def _keep_receipt(self, transaction: _Transaction, item: QueueItem | None) -> None:
        """Of what is stored here: nothing else can be read again."""
        if item is None or transaction.incoming is None or not any(one.route in STORED for one in item.recipients):
            return
        octets, protocol = transaction.incoming.octets, self.session.with_protocol
        self._desk.receipts.keep(item, octets, protocol, self._peer, transaction.answered)

    async def _keep_looked(self, transaction: _Transaction, item: QueueItem | None, looked: Looked) -> None:
        self._keep_receipt(transaction, item)  # those in shadow may have asked for more
        await self._desk.run_blocking(lambda: self._desk.decisions.add_looked(transaction.id, looked))

    async def _keep(self, record: DecisionRecord, keep: Callable[[DecisionRecord], None]) -> None:
        """Store a record. Its loss changes no answer: of a refusal the sender keeps the message, of others the item has it."""
        try:
            await self._desk.run_blocking(lambda: keep(record))
        except (StorageError, OSError) as error:
            log.error("decision record lost", id=record.id, error=str(error))
        except Exception:
            log.exception("decision record lost", id=record.id)

    def _tell_committed(self, item: QueueItem) -> None:
        try:
            self._desk.on_committed(item)
        except Exception:
            # The message is durable, so 250 it is; the queue process finds it there.
            log.exception("delivery was not told", id=item.id)

    # --- small steps ---

    @property
    def _sharer(self) -> str:
        """On whose account a message takes room: users are not in the way of each other where all come by one address."""
        identity = self.session.identity
        return network_of(self.session.peer_ip) if identity is None else identity.user

    @property
    def _texts(self) -> Mapping[str, str]:
        """The admin's words for replies."""
        return self._desk.judge(self.session.role).replies

    def _open(self) -> _Transaction:
        if self._transaction is None:
            raise LocalError("no mail transaction is open")
        return self._transaction

    def _log(self, event: str, **values: str) -> None:
        log.info(event, session=self.session.id, peer=self.session.peer_ip, **values)

    def _log_verdicts(self, record: DecisionRecord) -> None:
        """The one line a recipient that people grep for, and the number they watch."""
        for decision in record.recipients:
            METERS.of("").count(VERDICTS, direction=record.direction, verdict=decision.verdict)
            rule = decision.source_name or decision.source_kind
            log.info("verdict", id=record.id, rcpt=decision.recipient, verdict=decision.verdict, rule=rule, score=decision.score)


@contextmanager
def _left_on_failure(shadowing: Shadowing | None) -> Iterator[None]:
    """What is to look at the message gives its place back, if this fails or is given up."""
    try:
        yield
    except BaseException:
        if shadowing is not None:
            shadowing.leave()
        raise


def _storage_reply(error: Exception) -> Reply:
    causes = (error, error.__cause__)
    full = any(isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT) for cause in causes)
    return INSUFFICIENT_STORAGE if full else LOCAL_ERROR
