"""What a policy says about one recipient, and how the rulings of several recipients become one reply.

Values and one pure function; who decides a single ruling is `decide`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mailward.model.address import ForwardPath
from mailward.model.decision import RecipientDecision
from mailward.model.edits import Edit
from mailward.model.evidence import FactValue
from mailward.model.replies import ACCEPTED, LOCAL_ERROR, REJECTED
from mailward.model.reply import Reply
from mailward.model.verdict import Source, Verdict

_OWN_WORDS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class RecipientFacts:
    """What a policy knows of one forward-path.

    address: "local-part@domain". domain: A-labels in lower case. local_part: whole; tag: its part after "+", "" without one, and
    where the whole local-part is an address of its own here. mailboxes: the accounts' own addresses, in lower case, of all
    mailboxes that it leads to; groups: names of the groups these are in. is_local: its mailbox is here. found: the facts that
    plugins found of this forward-path alone; they stand before those that hold for all.
    """

    address: str
    domain: str
    local_part: str
    tag: str = ""
    mailboxes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    is_local: bool = True
    found: Mapping[str, FactValue] = field(default_factory=dict, compare=False)

    @classmethod
    def of(
        cls,
        path: ForwardPath,
        *,
        is_local: bool = True,
        tag: str | None = None,
        mailboxes: tuple[str, ...] = (),
        groups: tuple[str, ...] = (),
    ) -> "RecipientFacts":
        """The facts of a forward-path; the bare postmaster has no domain. tag: None where nobody knows better than its "+"."""
        address = path.address
        return cls(
            address=str(path) if address.domain else address.local_part,
            domain=address.domain,
            local_part=address.local_part,
            tag=address.local_part.partition("+")[2] if tag is None else tag,
            mailboxes=mailboxes,
            groups=groups,
            is_local=is_local,
        )


@dataclass(frozen=True, slots=True)
class Ruling:
    """The verdict for one recipient, with all that is needed to carry it out and to explain it.

    recipient: its address, "" at the mail stage. score: points of all counted findings and `do: score`.
    reply: for reject and tempfail, without the id; None for the others. heeded: `heed: true` plugins that asked for it.
    edits, folder, flags: what matching `do:` actions ask for (folder None: the verdict's own). actions: the same in plain words.
    alarms: what an admin must look at, e.g. a condition that failed.
    grounds: as in `RecipientDecision`.
    wanted: the verdict before one reply had to serve several recipients, None when it stayed.
    """

    recipient: str
    verdict: Verdict
    score: float
    source: Source
    floor: Verdict = Verdict.ACCEPT
    reply: Reply | None = None
    heeded: frozenset[str] = frozenset()
    edits: tuple[Edit, ...] = ()
    folder: str | None = None
    flags: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    wanted: Verdict | None = None
    grounds: tuple[str, ...] = ()

    def decision(self) -> RecipientDecision:
        """This ruling in the form of the decision record."""
        return RecipientDecision(
            recipient=self.recipient,
            verdict=self.verdict.value,
            score=self.score,
            source_kind=self.source.kind,
            source_name=self.source.name,
            source_where=self.source.where,
            floor=self.floor.value,
            wanted="" if self.wanted is None else self.wanted.value,
            actions=self.actions,
            folder=self.folder or "",
            flags=self.flags,
            grounds=self.grounds,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """One reply for all recipients, and their rulings as that reply leaves them, in the order given.

    replies: one for each recipient, when each can get its own; empty otherwise.
    """

    reply: Reply
    rulings: tuple[Ruling, ...]
    replies: tuple[Reply, ...] = ()

    @property
    def decisions(self) -> tuple[RecipientDecision, ...]:
        return tuple(ruling.decision() for ruling in self.rulings)


def combine(rulings: Sequence[Ruling], id: str = "", texts: Mapping[str, str] = _OWN_WORDS) -> Outcome:
    """One reply for at least one ruling; `id` is put into its text when it is not empty. texts: as in `with_id`.

    Any tempfail: 451 and nobody gets it. All reject, or one heeded rejection: 5xx for all. Else 250, and copies whose
    rejection can no longer be said go to the quarantine: never a bounce (RFC 5321 section 6.1 leaves no other way).
    """
    deferred = [r for r in rulings if r.verdict is Verdict.TEMPFAIL]
    if deferred:
        return Outcome(with_id(deferred[0].reply or LOCAL_ERROR, id, texts), _all_as(Verdict.TEMPFAIL, rulings))
    rejected = [r for r in rulings if r.verdict is Verdict.REJECT]
    heeded = [r for r in rejected if r.heeded]
    if rejected and (heeded or len(rejected) == len(rulings)):
        first = (heeded or rejected)[0]
        return Outcome(with_id(first.reply or REJECTED, id, texts), _all_as(Verdict.REJECT, rulings))
    kept = tuple(_as(Verdict.QUARANTINE, r) if r.verdict is Verdict.REJECT else r for r in rulings)
    return Outcome(accepted(id, texts), kept)


def separate(rulings: Sequence[Ruling], id: str = "", texts: Mapping[str, str] = _OWN_WORDS) -> Outcome:
    """A reply for each of at least one ruling, which all stay as they are (LMTP, PRDR).

    The common reply is positive when anybody gets the message, else the first temporary one, else the first.
    """
    usual = {Verdict.TEMPFAIL: LOCAL_ERROR, Verdict.REJECT: REJECTED}
    replies = tuple(
        with_id(r.reply or usual[r.verdict], id, texts) if r.verdict in usual else accepted(id, texts) for r in rulings
    )
    return Outcome(min(replies, key=lambda answer: answer.code // 100), tuple(rulings), replies)


def accepted(id: str, texts: Mapping[str, str] = _OWN_WORDS) -> Reply:
    """The reply of a message that was taken."""
    taken = ACCEPTED.worded(texts)
    return replace(taken, lines=(f"{taken.lines[0]}, id {id}",), name="") if id else taken


def with_id(reply: Reply, id: str, texts: Mapping[str, str] = _OWN_WORDS) -> Reply:
    """The reply in the admin's words, the id at the end of its last line, so that the peer's postmaster can name it to ours.

    texts: by the names of `model.replies`.
    """
    said = reply.worded(texts)
    return replace(said, lines=(*said.lines[:-1], f"{said.lines[-1]} (id {id})"), name="") if id else said


def _all_as(verdict: Verdict, rulings: Sequence[Ruling]) -> tuple[Ruling, ...]:
    return tuple(_as(verdict, r) for r in rulings)


def _as(verdict: Verdict, ruling: Ruling) -> Ruling:
    if ruling.verdict is verdict:
        return ruling
    return replace(ruling, verdict=verdict, wanted=ruling.verdict, reply=None)
