"""The mail transactions of one connection: MAIL, RCPT, then the message by DATA or in chunks by BDAT (RFC 5321 section 3.3;
RFC 3030). With LMTP, and PRDR, the message gets a reply for each recipient (RFC 2033 section 4.2).

Chunks follow their command without waiting for a reply, so wherever BDAT cannot be taken its octets are read and thrown away:
none of them may ever be taken for a command (T-SMTP-15, T-SMTP-16).
"""

from mailward.model import replies
from mailward.model.replies import MESSAGE_TOO_BIG, TOO_MANY_RECIPIENTS
from mailward.model.reply import Reply
from mailward.protocol.framing import LineReader
from mailward.protocol.smtp.content import Chunks, MailData, Piece, Skipped
from mailward.protocol.smtp.dialogue import Dialogue
from mailward.protocol.smtp.events import (
    Asked,
    Content,
    DataAsked,
    Event,
    Fault,
    MailAsked,
    MessageAsked,
    RcptAsked,
    RecipientReplies,
    TransactionDropped,
)
from mailward.protocol.smtp.params import parse_bdat, parse_mail, parse_rcpt
from mailward.protocol.smtp.refused import RefusedError
from mailward.protocol.smtp.states import Limits, State
from mailward.protocol.smtp.submitting import Submitting


class MailTransactions(Dialogue):
    """For `SmtpServer` to build on. lines: the input that is not content. lmtp: the protocol is LMTP."""

    def __init__(self, limits: Limits, lines: LineReader, *, lmtp: bool, offer_prdr: bool) -> None:
        super().__init__(limits)
        self._lines = lines
        self._lmtp = lmtp
        self._offer_prdr = offer_prdr
        self._extended = False
        self._tls = False
        self._is_submission = False
        self._submitting: Submitting | None = None
        self._waiting: Asked | None = None
        self._content: MailData | Chunks | Skipped | None = None
        self._chunks: Chunks | None = None
        self._chunk = (0, False)  # what the last BDAT said: octets, whether it is the last
        self._skipped_octets = 0
        self._recipients = 0
        self._heard_of_full = False
        self._smtputf8 = self._is_binary = False

    @property
    def reads_content(self) -> bool:
        """The next octets are content, not commands."""
        return self._content is not None and self._waiting is None

    # --- commands ---

    def _mail(self, argument: bytes) -> list[Event]:
        limit = self._limits.message_octets
        try:
            path, parameters = parse_mail(
                argument,
                extended=self._extended,
                size_limit_octets=limit,
                auth=self._is_submission,
                prdr=self._offer_prdr,
                tls=self._tls,
                submitting=self._submitting,
            )
        except RefusedError as refused:
            return self._refuse(refused.reply)
        return self._ask(MailAsked(path, parameters))

    def _rcpt(self, argument: bytes) -> list[Event]:
        if self._recipients >= self._limits.recipients:
            return self._refuse(TOO_MANY_RECIPIENTS)
        try:
            return self._ask(RcptAsked(*parse_rcpt(argument, extended=self._extended, smtputf8=self._smtputf8)))
        except RefusedError as refused:
            return self._refuse(refused.reply)

    def _data(self, argument: bytes) -> list[Event]:
        if argument:
            return self._refuse(replies.NO_ARGUMENT)
        if self._is_binary:
            return self._refuse(replies.BINARY_BY_BDAT)
        self._chunk = (0, True)  # all of it in one piece
        return self._ask(DataAsked())

    def _chunk_comes(self, argument: bytes, refusal: Reply | None) -> list[Event]:
        """BDAT. refusal: why it cannot be taken now."""
        if not self._extended:
            return self._fault(Fault.PIPELINING, replies.NO_CHUNKING)
        try:
            self._chunk = size_octets, _ = parse_bdat(argument)
        except RefusedError as refused:
            return self._refuse(refused.reply)
        if refusal is not None:
            return self._skip(size_octets, refusal)
        if self._chunks is None:
            return self._ask(DataAsked(chunked=True))
        return self._begin_chunk(self._chunks)

    def _rset(self, argument: bytes) -> list[Event]:
        if argument:
            return self._refuse(replies.NO_ARGUMENT)
        self._send(replies.OK)
        if not self.in_transaction:
            return []
        self._end_transaction()
        return [TransactionDropped("RSET")]

    # --- decisions ---

    def _note_full_mailbox(self) -> None:
        """An error, once a transaction: who asks after room begins anew for each SIZE (T-RELAY-18), and a message for many may
        find several mailboxes full. By LMTP the servers that relay to us ask, for others.
        """
        if not (self._heard_of_full or self._lmtp):
            self._heard_of_full = True
            self._errors += 1

    def _begin_content(self, event: DataAsked, answer: Reply) -> list[Event]:
        """DATA, or the first BDAT, was decided."""
        if not event.chunked:
            if answer.is_positive:
                self._move(State.DATA)
                self._content = MailData(self._limits, mends=self._is_submission)
            else:
                self._end_transaction()
            self._answer(answer)
            return []
        if answer.is_positive:
            self._chunks = Chunks(self._limits, is_binary=self._is_binary, mends=self._is_submission)
            return self._begin_chunk(self._chunks)
        times = self._times
        self._end_transaction()
        return self._skip(self._chunk[0], answer, times)

    def _answer_message(self, answer: Reply | RecipientReplies) -> None:
        """The message was decided, which ends the transaction."""
        times = self._times
        self._end_transaction()
        self._junk = 0
        if isinstance(answer, Reply):
            self._repeat(answer, times - 1)
            self._answer(answer)
            return
        if self._lmtp:  # whom the servers that relay to us send mail to is not their error
            self._answer_each_recipient(answer.each)
        else:
            self._answer_each_recipient((replies.EACH_RECIPIENT, *answer.each))
            self._answer(answer.overall)

    def _answer_each_recipient(self, each: tuple[Reply, ...]) -> None:
        for one in each:
            self._send(one)
        if any(one.closes for one in each):
            self._move(State.CLOSED)

    @property
    def _times(self) -> int:
        """How often a reply to the whole message is said: with LMTP to each recipient, unless further chunks may follow."""
        return max(self._recipients, 1) if self._lmtp and self._chunk[1] else 1

    def _repeat(self, answer: Reply, times: int) -> None:
        for _ in range(times):
            self._send(answer)

    def _end_transaction(self) -> None:
        self._move(State.GREETED)
        self._content = self._chunks = None
        self._recipients = 0
        self._heard_of_full = False
        self._smtputf8 = self._is_binary = False

    # --- content ---

    def _begin_chunk(self, chunks: Chunks) -> list[Event]:
        size_octets, is_last = self._chunk
        if chunks.size_octets + size_octets > self._limits.message_octets:
            times = self._times
            self._end_transaction()
            return [TransactionDropped(Fault.TOO_BIG.value), *self._skip(size_octets, MESSAGE_TOO_BIG, times)]
        if chunks.count >= self._limits.chunks:
            return self._fault(Fault.TOO_MANY_ERRORS, replies.TOO_MANY_CHUNKS)
        chunks.begin(size_octets, is_last=is_last)
        self._move(State.DATA)
        self._content = chunks
        return self._read_content(self._lines.take())

    def _skip(self, size_octets: int, answer: Reply, times: int = 1) -> list[Event]:
        """Read a chunk away and then say why, so many times."""
        self._skipped_octets += size_octets
        if self._skipped_octets > self._limits.excess_octets:
            return self._fault(Fault.TOO_BIG, replies.TOO_BIG_TO_SKIP)
        self._content = Skipped(size_octets, answer, times)
        return self._read_content(self._lines.take())

    def _read_content(self, octets: bytes) -> list[Event]:
        data = self._content
        if data is None:
            return []
        piece = data.read(octets)
        if self.watcher is not None:
            self.watcher.content_comes(len(octets) - len(piece.rest or b""))
        if piece.rest is None and piece.fault is not None:
            return self._give_up(piece)
        events: list[Event] = [Content(piece.content)] if piece.content else []
        if piece.rest is None:
            return events
        self._content = None
        self._lines.feed(piece.rest)
        if isinstance(data, Skipped):
            self._repeat(data.answer, data.times - 1)
            return self._refuse(data.answer)
        if piece.fault is not None:
            fault, answer = piece.fault
            self._repeat(answer, self._times - 1)
            self._end_transaction()
            events += [TransactionDropped(fault.value), *self._fault(fault, answer)]
            return [*events, *self._ahead_without_leave()]
        if isinstance(data, Chunks) and not data.is_last:
            self._move(State.CHUNKS)
            self._send(replies.CHUNK_OK.filled(octets=self._chunk[0]))
            return events
        return [*events, *self._ask(MessageAsked(data.size_octets, data.lines, data.is_mended))]

    def _give_up(self, piece: Piece) -> list[Event]:
        """Too much came to wait for the end of it."""
        assert piece.fault is not None
        events = self._fault(*piece.fault)
        if not self.is_closed:
            self._move(State.CLOSED)
        return events

    def _ask(self, event: Asked) -> list[Event]:
        self._waiting = event
        return [event]

    def _ahead_without_leave(self) -> list[Event]:
        """Behind a reply that took its time: has a client that was not offered PIPELINING sent more already?"""
        if not self._lines or self._extended or self.is_closed:
            return []
        return self._fault(Fault.PIPELINING, replies.OUT_OF_STEP)
