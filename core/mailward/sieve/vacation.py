"""I am away: one reply to a sender, and to no machine (RFC 5230, RFC 6131, RFC 3834)."""

import hashlib
import re

from mailward.formats.identifiers import read_identifiers
from mailward.model.address import Address
from mailward.sieve.actions import Vacation
from mailward.sieve.addresses import sendable
from mailward.sieve.arguments import Shape, TagRule, Takes
from mailward.sieve.disposing import FCC, check_fcc, fcc_of
from mailward.sieve.endings import RunProblem
from mailward.sieve.running import Checking, Command, Run, Step

_DAY_S = 24 * 3600
_DEFAULT_S = 7 * _DAY_S
_MOST_S = 90 * _DAY_S
_SUBJECT_CHARACTERS = 200
_MACHINES = re.compile(r"owner-.*|.*-(?:request|owner|bounces?)|mailer-daemon|listserv|majordomo|no-?reply", re.IGNORECASE)
"""RFC 5230 section 4.6, and what programs call themselves since."""
_LIST_FIELDS = ("List-Id", "List-Help", "List-Subscribe", "List-Unsubscribe", "List-Post", "List-Owner", "List-Archive")
_RECIPIENT_FIELDS = ("To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc")


def why_no_reply(run: Run, mine: frozenset[str]) -> str:
    """Why a message gets no automatic reply, "" where it may. mine: the owner's addresses in lower case."""
    message, sender = run.received, run.world.envelope.reverse_path.address
    if sender is None:
        return "it has the null reverse-path"
    if str(sender).lower() in mine:
        return "its sender is the owner"
    if _MACHINES.fullmatch(sender.local_part):
        return f"{sender.local_part} is no person"
    if any(message.field(name) for name in _LIST_FIELDS):
        return "it came by a list"
    submitted = message.field("Auto-Submitted")
    if submitted and submitted.text.partition(";")[0].strip().lower() != "no":
        return "a machine has sent it (Auto-Submitted)"
    precedence = message.field("Precedence")
    if precedence and precedence.text.lower() in ("bulk", "list", "junk"):
        return "it is bulk mail (Precedence)"
    suppress = message.field("X-Auto-Response-Suppress")
    if suppress and {word.strip().lower() for word in suppress.text.split(",")} & {"all", "oof", "autoreply"}:
        return "its sender asks for none (X-Auto-Response-Suppress)"
    # RFC 5230 section 4.5: who was not named is on a list, or was sent a blind copy.
    named = {str(m.address).lower() for name in _RECIPIENT_FIELDS for m in run.message.addresses(name).mailboxes if m.address}
    return "" if named & mine else "it names no address of the owner in its header; see :addresses"


def _vacation(run: Run, step: Step) -> None:
    if any(isinstance(action, Vacation) for action in run.actions):
        raise RunProblem("the vacation command may be done once only", step.place)
    envelope, tags = run.world.envelope, step.tags
    mine: list[Address] = list(run.world.owner.addresses)
    if envelope.forward_path is not None and not envelope.is_alias:  # else all members of an alias would answer
        mine.append(envelope.forward_path.address)
    also = run.texts(tags["addresses"].strings) if "addresses" in tags else []
    sender = run.text(tags["from"].strings[0]) if "from" in tags else ""
    if sender and sendable(sender) is None:
        raise RunProblem(f"the vacation command cannot send from {sender[:60]!r}", step.place)
    text = run.text(step.string(0))
    own = f"Auto: {run.received.subject}" if run.received.subject else "Automated reply"
    subject = run.text(tags["subject"].strings[0]) if "subject" in tags else own
    handle = (
        run.text(tags["handle"].strings[0])
        if "handle" in tags
        else "\0".join((subject if "subject" in tags else "", sender, text))
    )
    references = run.received.field("References")
    run.act(
        Vacation(
            *run.at(step),
            recipient=envelope.reverse_path.address,
            withheld=why_no_reply(run, frozenset(str(address).lower() for address in (*mine, *also))),
            key=hashlib.sha256(handle.encode("utf-8", "surrogateescape")).hexdigest(),
            period_s=_period_s(step),
            sender=sender or (str(mine[0]) if mine else ""),
            subject=" ".join(subject.split())[:_SUBJECT_CHARACTERS],
            text=text,
            is_mime="mime" in tags,
            in_reply_to=run.received.message_id,
            references=read_identifiers(references.value).ids if references else (),
            fcc=fcc_of(run, step),
        ),
        keeps=True,
    )


def _period_s(step: Step) -> int:
    """RFC 5230 section 4.1, RFC 6131: at least a day when told in days; no seconds mean that every message gets its reply."""
    use = step.tags.get("period")
    if use is None:
        return _DEFAULT_S
    return min(use.number, _MOST_S) if use.name == "seconds" else min(max(use.number, 1) * _DAY_S, _MOST_S)


def _check(checking: Checking, step: Step) -> None:
    use = step.tags.get("from")
    if use and (sender := use.strings[0].constant) is not None and sendable(sender) is None:
        checking.problem(use.place, f"the tag ':from' wants one address, not {sender[:60]!r}")
    check_fcc(checking, step)


COMMANDS = (
    Command(
        "vacation",
        (Takes("reason", Shape.STRING),),
        (
            TagRule("days", "period", Shape.NUMBER),
            TagRule("seconds", "period", Shape.NUMBER, "vacation-seconds"),
            TagRule("subject", takes=Shape.STRING),
            TagRule("from", takes=Shape.STRING),
            TagRule("addresses", takes=Shape.STRINGS),
            TagRule("mime"),
            TagRule("handle", takes=Shape.STRING),
            *FCC,
        ),
        "vacation",
        check=_check,
        do=_vacation,
    ),
)
