"""The relaying side of SMTP and LMTP without I/O (RFC 5321, 1870, 2033, 2852, 2920, 3030, 3207, 3461, 4954, 6152, 6531,
6710, 8689).

The caller feeds octets and takes octets; what the server's replies mean comes out as events. Whatever octets arrive, the
outcome is one of these events, and each recipient of a transaction has exactly one outcome at its end. Nothing but what
`wire` lets through is ever written, so no argument and no message can speak to the server in our name.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from mailward.formats.xtext import encode_xtext
from mailward.model.address import NULL_REVERSE_PATH, ForwardPath
from mailward.model.errors import LocalError, PeerError
from mailward.model.reply import Reply, reply
from mailward.protocol.sasl import NoResponseError, SaslError, encode, response
from mailward.protocol.sasl_client import ClientMechanism
from mailward.protocol.smtp.client_states import (
    MOVES,
    Broken,
    ClientLimits,
    Closed,
    Event,
    Fault,
    LoggedIn,
    LoginRefused,
    Ready,
    State,
    Step,
    TlsReady,
    TlsRefused,
    TransactionEnded,
)
from mailward.protocol.smtp.outgoing import Extensions, Outcome, OutgoingMail, Result, unfit
from mailward.protocol.smtp.replies import ReplyReader
from mailward.protocol.smtp.wire import NO_MAIL_DATA, SoundOctets, command, last_chunk, mail_data


@dataclass(slots=True)
class _Transaction:
    """paths: those the server is asked about. refusal: of MAIL. plan: what is still to be sent. is_question: no message comes.

    unsettled: of those that were accepted, whose reply to the message has not come.
    """

    mail: OutgoingMail
    paths: tuple[ForwardPath, ...]
    outcomes: dict[ForwardPath, Outcome]
    plan: deque[tuple[Step, bytes]]
    accepted: list[ForwardPath] = field(default_factory=list)
    unsettled: deque[ForwardPath] = field(default_factory=deque)
    answered: int = 0
    refusal: Reply | None = None
    is_question: bool = False


class SmtpClient:
    """One connection. hostname: our name for EHLO. extensions: what the server offers now, nothing before `Ready`.

    is_lmtp: LHLO, and behind the message a reply for each recipient that was accepted (RFC 2033).
    """

    def __init__(self, hostname: str, limits: ClientLimits | None = None, *, is_lmtp: bool = False) -> None:
        self._hostname = hostname
        self._is_lmtp = is_lmtp
        self._limits = limits or ClientLimits()
        self._replies = ReplyReader(self._limits.replies)
        self._out = bytearray()
        self._content = b""
        self._sent_octets = 0
        self._due: deque[Step] = deque([Step.GREETING])
        self._transaction: _Transaction | None = None
        self._mechanism: ClientMechanism | None = None
        self._login_problem = ""
        self._is_clean = True  # no transaction is left open on the server
        self.state = State.OPENING
        self.extensions = Extensions()
        self.is_message_sent = False
        """Was the last message handed out to its end?"""
        self.replies = 0
        """How many were read: each gives the server new time for the next."""

    @property
    def awaits(self) -> Step | None:
        """What a reply is due for; None when it is our turn."""
        return self._due[0] if self._due else None

    # What the caller wants

    def start_tls(self) -> None:
        """Ask for TLS. Ends in `TlsReady`, `TlsRefused` or `Broken`."""
        self._need(State.READY)
        self._move(State.STARTTLS)
        self._ask(Step.STARTTLS, b"STARTTLS")

    def tls_started(self) -> None:
        """The handshake is done: everything learnt before it is forgotten (RFC 3207 section 4.2)."""
        self._need(State.HANDSHAKE)
        self._move(State.OPENING)
        self.extensions = Extensions()
        self._replies = ReplyReader(self._limits.replies)
        self._introduce()

    def log_in(self, mechanism: ClientMechanism) -> None:
        """Only under TLS. Ends in `LoggedIn`, `LoginRefused` or `Broken`."""
        self._need(State.READY)
        self._move(State.LOGIN)
        self._mechanism, first = mechanism, mechanism.first()
        said = b"" if first is None else b" " + (encode(first) or b"=")
        self._ask(Step.AUTH, b"AUTH " + mechanism.name.encode("ascii") + said)

    def send(self, mail: OutgoingMail) -> list[Event]:
        """Begin a transaction, which ends in `TransactionEnded`: at once when this server cannot take the message at all."""
        return self._begin(mail, is_question=False)

    def ask(self, forward_path: ForwardPath) -> list[Event]:
        """Would the server take a report for this recipient? Ends as `send`, without a message; by its reply to RCPT alone."""
        return self._begin(OutgoingMail(NULL_REVERSE_PATH, (forward_path,), b""), is_question=True)

    def _begin(self, mail: OutgoingMail, *, is_question: bool) -> list[Event]:
        self._need(State.READY)
        outcomes = unfit(mail, self.extensions)
        paths = tuple(path for path in dict.fromkeys(mail.forward_paths) if path not in outcomes)
        plan = deque([] if self._is_clean else [(Step.RSET, command(b"RSET"))])
        plan.append((Step.MAIL, self._mail_command(mail)))
        plan += [(Step.RCPT, self._rcpt_command(mail, path)) for path in paths]
        if not is_question:
            plan.append((Step.MESSAGE, b"") if self.extensions.chunking else (Step.DATA, command(b"DATA")))
        self._transaction = _Transaction(mail, paths, outcomes, plan, is_question=is_question)
        self._move(State.TRANSACTION)
        self.is_message_sent = False
        if not paths:
            return self._finish()
        self._is_clean = False
        self._go_on(self._transaction)
        return []

    def quit(self) -> None:
        """Say goodbye. Ends in `Closed`."""
        self._need(State.READY)
        self._move(State.QUITTING)
        self._ask(Step.QUIT, b"QUIT")

    # Octets

    def data_to_send(self) -> bytes:
        """The next octets, b"" when there are none for now. A message comes in pieces: read between them."""
        if not self._out and self._content:
            self._out += self._content[self._sent_octets : self._sent_octets + self._limits.piece_octets]
            self._sent_octets += self._limits.piece_octets
            if self._sent_octets >= len(self._content):
                self._content = b""
                self._await_replies_to_message()
                self.is_message_sent = True
        out = bytes(self._out)
        self._out.clear()
        return out

    def receive_data(self, octets: bytes) -> list[Event]:
        """What the octets mean. After `Broken` or `Closed` nothing more comes."""
        if self.state is State.ENDED or not octets:
            return []
        if self.state is State.HANDSHAKE:
            return self._break(Fault.INJECTION)
        self._replies.feed(octets)
        events: list[Event] = []
        try:
            while self._due and (answer := self._replies.next()) is not None:
                self.replies += 1
                events += self._take(self._due.popleft(), answer)
        except PeerError as error:
            return events + self._break(Fault.MALFORMED, str(error))
        return events + self._judge_rest()

    def _judge_rest(self) -> list[Event]:
        """Octets that nothing was due for."""
        if self._due or not self._replies or self.state is State.ENDED:
            return []
        return self._break(Fault.INJECTION if self.state is State.HANDSHAKE else Fault.EARLY)

    def lost(self, fault: Fault = Fault.LOST) -> list[Event]:
        """The connection ended, or the time for a reply is over."""
        if self.state is State.ENDED:
            return []
        if self.state is State.QUITTING:
            self._end()
            return [Closed()]
        return self._break(fault)

    # Replies

    def _take(self, step: Step, answer: Reply) -> list[Event]:
        if self.state is State.QUITTING:
            self._end()
            return [Closed()]
        if answer.code == 421:
            return self._break(Fault.CLOSING, reply=answer)
        match step:
            case Step.GREETING:
                return self._greeted(answer)
            case Step.EHLO | Step.HELO:
                return self._introduced(step, answer)
            case Step.STARTTLS:
                return self._tls_answered(answer)
            case Step.AUTH:
                return self._login_answered(answer)
        assert self._transaction is not None
        return self._answered(self._transaction, step, answer)

    def _greeted(self, answer: Reply) -> list[Event]:
        if answer.code != 220:
            return self._break(Fault.REFUSED, reply=answer)
        self._introduce()
        return []

    def _introduce(self) -> None:
        self._ask(Step.EHLO, (b"LHLO " if self._is_lmtp else b"EHLO ") + self._hostname.encode("utf-8"))

    def _introduced(self, step: Step, answer: Reply) -> list[Event]:
        if step is Step.EHLO and answer.code >= 500 and not self._is_lmtp:  # RFC 5321 section 3.2
            self._ask(Step.HELO, b"HELO " + self._hostname.encode("utf-8"))
            return []
        if answer.code >= 300:
            return self._break(Fault.REFUSED, reply=answer)
        offered = Extensions.of(answer.lines) if step is Step.EHLO else Extensions()
        self.extensions = offered
        self._move(State.READY)
        return [Ready(offered)]

    def _tls_answered(self, answer: Reply) -> list[Event]:
        if answer.code == 220:
            self._move(State.HANDSHAKE)
            return [TlsReady()]
        if answer.code < 400:
            return self._break(Fault.UNEXPECTED, reply=answer)
        self._move(State.READY)
        return [TlsRefused(answer)]

    def _login_answered(self, answer: Reply) -> list[Event]:
        """RFC 4954 section 4. With 235 the name is known; that the server knows the password is for the mechanism to say."""
        assert self._mechanism is not None
        if answer.code == 334 and not self._login_problem:  # behind our "*" nothing is left to ask
            try:
                octets = self._mechanism.respond(response(answer.lines[0].encode("ascii")))
            except (SaslError, NoResponseError) as error:
                self._login_problem = str(error)
                self._ask(Step.AUTH, b"*")
            else:
                self._ask(Step.AUTH, encode(octets))
            return []
        if answer.code < 300 and self._mechanism.is_done and not self._login_problem:
            self._move(State.READY)
            return [LoggedIn()]
        if answer.code < 400:
            return self._break(Fault.UNEXPECTED, self._login_problem or "a success without the proof that belongs to it")
        self._move(State.READY)
        return [LoginRefused(self._login_problem or str(answer))]

    def _answered(self, transaction: _Transaction, step: Step, answer: Reply) -> list[Event]:
        """One reply of a transaction. What follows a refused MAIL in the same group is answered too, and means nothing."""
        positive = answer.code < 300
        if answer.code // 100 == (2 if step is Step.DATA else 3):
            return self._break(Fault.UNEXPECTED, reply=answer)
        match step:
            case Step.RSET if not positive:
                return self._break(Fault.UNEXPECTED, reply=answer)
            case Step.MAIL if not positive:
                transaction.refusal = answer
                transaction.plan.clear()
            case Step.RCPT if transaction.refusal is None:
                self._recipient_answered(transaction, answer, positive=positive)
            case Step.DATA if answer.code < 400:
                wanted = bool(transaction.accepted)
                if self._is_lmtp and not wanted:  # RFC 2033 section 4.2: 503; nothing says what the end of no data would bring
                    return self._break(Fault.UNEXPECTED, reply=answer)
                self._content, self._sent_octets = (mail_data(_content(transaction.mail)) if wanted else NO_MAIL_DATA), 0
                return []
            case Step.DATA if transaction.accepted:
                self._settle(transaction, transaction.accepted, answer)
            case Step.MESSAGE if self._is_lmtp:
                self._settle(transaction, [transaction.unsettled.popleft()], answer)
                if not transaction.unsettled and (another := self._replies.next()) is not None:
                    return self._one_too_many(transaction, another)
                self._is_clean = not self.extensions.chunking
            case Step.MESSAGE:
                self._settle(transaction, transaction.accepted, answer)
                self._is_clean = positive or not self.extensions.chunking  # RFC 3030 section 2: RSET after a failed BDAT
        self._go_on(transaction)
        return [] if self._due or self._content else self._finish()

    def _recipient_answered(self, transaction: _Transaction, answer: Reply, *, positive: bool) -> None:
        path = transaction.paths[transaction.answered]
        transaction.answered += 1
        if positive and not transaction.is_question:
            transaction.accepted.append(path)
        elif answer.code == 552:  # RFC 5321 section 4.5.3.1.10: too many recipients, said by an old server
            transaction.outcomes[path] = Outcome(path, Result.TEMPORARY, answer)
        else:
            transaction.outcomes[path] = _outcome(path, answer)

    def _await_replies_to_message(self) -> None:
        """One, or with LMTP one for each recipient that was accepted, in their order (RFC 2033 section 4.2)."""
        assert self._transaction is not None
        if self._is_lmtp:
            self._transaction.unsettled.extend(self._transaction.accepted)
        self._due.extend([Step.MESSAGE] * (len(self._transaction.accepted) if self._is_lmtp else 1))

    def _one_too_many(self, transaction: _Transaction, another: Reply) -> list[Event]:
        """With more replies than recipients nobody knows which is whose, and none is believed. 421 may come at any time."""
        if another.code == 421:
            return self._break(Fault.CLOSING, reply=another)
        for path in transaction.accepted:
            del transaction.outcomes[path]
        return self._break(Fault.MISCOUNTED)

    def _settle(self, transaction: _Transaction, paths: Iterable[ForwardPath], answer: Reply) -> None:
        """The same for each of these recipients."""
        offered = self.extensions
        times = offered.deliver_by_s is not None
        for path in paths:
            transaction.outcomes[path] = Outcome(path, _result(answer), answer, reports_there=offered.dsn, times_there=times)

    def _go_on(self, transaction: _Transaction) -> None:
        """Send what may be sent now: everything with PIPELINING, else one command when no reply is due.

        A chunk comes when it is known that somebody takes it. It is the whole message: what a peer says within it ends it anyway.
        """
        while transaction.plan and (self.extensions.pipelining or not self._due):
            step, octets = transaction.plan[0]
            if step in (Step.DATA, Step.MESSAGE) and not self._due and not transaction.accepted:
                transaction.plan.clear()
                return
            if step is Step.MESSAGE:
                if not self._due:
                    transaction.plan.clear()
                    self._content, self._sent_octets = last_chunk(_content(transaction.mail)), 0
                return
            transaction.plan.popleft()
            self._due.append(step)
            self._out += octets

    # Ends

    def _finish(self) -> list[Event]:
        self._move(State.READY)
        return [self._end_of_transaction(reply(451, "4.4.2", "not answered"), by_peer=False)]

    def _break(self, fault: Fault, text: str = "", *, reply: Reply | None = None) -> list[Event]:
        step = f" while {self._due[0].value} was awaited" if self._due and not reply else ""
        text = f"{fault.value}{f': {text}' if text else ''}{step}" if reply is None else f"{fault.value}: {reply}"
        events: list[Event] = []
        if self._transaction is not None:
            why = reply or Reply(451, "4.4.2", (text,))
            events.append(self._end_of_transaction(why, by_peer=reply is not None))
        self._end()
        return [*events, Broken(fault, text, reply)]

    def _end_of_transaction(self, otherwise: Reply, *, by_peer: bool) -> TransactionEnded:
        """The outcomes; recipients without one get the refusal of MAIL, or stay for another time because of `otherwise`."""
        transaction, self._transaction = self._transaction, None
        assert transaction is not None
        self._content = b""
        outcomes = []
        for path in transaction.mail.forward_paths:
            outcome = transaction.outcomes.get(path)
            if outcome is None and transaction.refusal is not None and not transaction.is_question:
                outcome = _outcome(path, transaction.refusal)
            outcomes.append(outcome or Outcome(path, Result.TEMPORARY, otherwise, by_peer))
        return TransactionEnded(tuple(outcomes))

    def _end(self) -> None:
        self._move(State.ENDED)
        self._due.clear()
        self._out.clear()
        self._content = b""

    # The writer

    def _mail_command(self, mail: OutgoingMail) -> bytes:
        offered = self.extensions
        parameters = b""
        if offered.size_octets is not None:
            parameters += b" SIZE=%d" % len(mail.octets)
        if offered.eight_bit_mime and mail.is_eight_bit:
            parameters += b" BODY=8BITMIME"
        if mail.common_part_needs_smtputf8 or not all(path.address.is_ascii for path in mail.forward_paths):
            parameters += b" SMTPUTF8" if offered.smtputf8 else b""
        if mail.require_tls:
            parameters += b" REQUIRETLS"
        if offered.deliver_by_s is not None and mail.deliver_by is not None:
            parameters += b" BY=" + str(mail.deliver_by).encode("ascii")
        if offered.mt_priority and mail.priority:
            parameters += b" MT-PRIORITY=%d" % mail.priority
        if offered.dsn and mail.ret:
            parameters += b" RET=" + mail.ret.encode("ascii")
        if offered.dsn and mail.envelope_id:
            parameters += b" ENVID=" + encode_xtext(mail.envelope_id).encode("ascii")
        return command(b"MAIL FROM:<", str(mail.reverse_path).encode("utf-8"), b">", parameters)

    def _rcpt_command(self, mail: OutgoingMail, path: ForwardPath) -> bytes:
        said = mail.rcpt_parameters.get(path)
        parameters = ""
        if self.extensions.dsn and said is not None:
            if said.notify:
                parameters += f" NOTIFY={','.join(said.notify)}"
            if said.original_recipient:
                kind, _, address = said.original_recipient.partition(";")
                safe = address if kind.lower() == "utf-8" else encode_xtext(address)  # what is safe in itself: RFC 6533 section 3
                parameters += f" ORCPT={kind};{safe}"
        return command(b"RCPT TO:<", str(path).encode("utf-8"), b">", parameters.encode("ascii"))

    def _ask(self, step: Step, line: bytes) -> None:
        self._out += command(line)
        self._due.append(step)

    def _move(self, state: State) -> None:
        if state not in MOVES[self.state]:
            raise LocalError(f"SMTP client: from {self.state} to {state}")
        self.state = state

    def _need(self, state: State) -> None:
        if self.state is not state:
            raise LocalError(f"SMTP client: not now: {self.state.value}")


def _content(mail: OutgoingMail) -> SoundOctets:
    """Of one that is fit to leave."""
    if mail.content is None:
        raise LocalError("SMTP client: a message that is not sound cannot be sent")
    return mail.content


def _outcome(path: ForwardPath, answer: Reply) -> Outcome:
    return Outcome(path, _result(answer), answer)


def _result(answer: Reply) -> Result:
    """By the first digit alone (RFC 5321 section 4.2.1)."""
    return (Result.ACCEPTED if answer.code < 300 else Result.TEMPORARY) if answer.code < 500 else Result.PERMANENT
