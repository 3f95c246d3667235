"""What `mailward retro` says: of copies to which something would be done, and of what was done to them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mailward.app.retro import Found, Match
from mailward.cli.changes import number_of
from mailward.cli.output import moment, table
from mailward.decisions.retro import Deed, Item, Order, Retro, State
from mailward.formats.text import one_line

SHOWN = 20
"""Copies before something is done to them."""

_WOULD: dict[Deed, str] = {
    "quarantine": "would be taken into quarantine",
    "release": "would be let go on",
    "tag": "would be tagged",
}
_DONE: dict[Deed, str] = {"quarantine": "taken into quarantine", "release": "let go on", "tag": "tagged"}


def what(retro: Retro) -> str:
    """ "quarantine", "tag $Phishing"."""
    order = retro.order
    return f"tag {order.tag}" if order.deed == "tag" else order.deed


_STATES: dict[State, str] = {"done": "done", "undone": "undone", "left": "not done", "begun": "cut short"}


def counted(counts: Mapping[State, int]) -> str:
    """How many copies are in which state."""
    return ", ".join(f"{counts[state]:,} {word}" for state, word in _STATES.items() if state in counts) or "none"


def plan_text(order: Order, found: Found, limit: int) -> str:
    """What would be done, and to what."""
    lines = [
        f"{order.direction}, {order.narrowed}: {number_of('message', found.messages)}; the condition holds for"
        f" {number_of('recipient', found.holds)}",
        f"  {number_of('copy', len(found.matches), 'copies')} {_WOULD[order.deed]}"
        + (f", more than --limit {limit:,}" if len(found.matches) > limit else ""),
    ]
    lines += [f"  {number_of('recipient', n)}: {why}" for why, n in found.without.most_common()]
    lines += [f"  not known of {number_of('recipient', n)}: {why}" for why, n in found.unknown.most_common()]
    if found.matches:
        lines += ["", *(line for match in found.matches[:SHOWN] for line in _match_lines(match))]
    if len(found.matches) > SHOWN:
        lines.append(f"  and {len(found.matches) - SHOWN:,} more; --json lists all")
    return "\n".join(lines)


def _match_lines(match: Match) -> list[str]:
    target, record = match.target, match.record
    place = f"in {', '.join(one_line(name) for name in target.where)}" if target.account else "in quarantine"
    infected = "  INFECTED" if target.held.infected else ""
    who = f"from <{record.reverse_path}> to {target.held.recipient}"
    return [
        f"  {record.id}  {moment(record.received_at)}  {who}  {place}{infected}",
        f"    {one_line(match.subject, 80) or '(no subject)'}",
    ]


def plan_data(order: Order, found: Found) -> dict[str, Any]:
    """The same for JSON, with every copy."""
    return {
        "order": asdict(order),
        "messages": found.messages,
        "recipients": found.holds,
        "copies": [
            {
                "id": match.record.id,
                "received_at": match.record.received_at,
                "reverse_path": match.record.reverse_path,
                "recipient": match.target.held.recipient,
                "subject": match.subject,
                "mailboxes": list(match.target.where),
                "infected": match.target.held.infected,
            }
            for match in found.matches
        ],
        "without": dict(found.without),
        "not_known": dict(found.unknown),
    }


def done_text(retro: Retro, items: Sequence[Item], found: Found) -> str:
    """What was done."""
    done = sum(item.state == "done" for item in items)
    lines = [f"{retro.name}: {number_of('copy', done, 'copies')} {_DONE[retro.order.deed]}"]
    left = Counter(item.outcome for item in items if item.state != "done")
    lines += [f"  {number_of('copy', n, 'copies')} not: {why}" for why, n in left.most_common()]
    lines += [f"  {number_of('recipient', n)}: {why}" for why, n in found.without.most_common()]
    lines += [f"  not known of {number_of('recipient', n)}: {why}" for why, n in found.unknown.most_common()]
    lines.append(f"mailward retro show {retro.name} says more, mailward retro undo {retro.name} undoes it")
    return "\n".join(lines)


def retro_text(retro: Retro, items: Sequence[Item]) -> str:
    """One retro-action with every copy."""
    order = retro.order
    about = [
        ("id", retro.name),
        ("begun", f"{moment(retro.begun_at)} by {order.who}"),
        ("what", what(retro) + (" --even-infected" if order.even_infected else "")),
        ("where", one_line(order.condition)),
        ("of", f"{order.direction} {order.narrowed}".strip()),
    ]
    if retro.undone_at:
        about.append(("undone", moment(retro.undone_at)))
    about.append(("copies", counted(dict(Counter(item.state for item in items)))))
    rows = [(f"  {item.id}", item.recipient, _STATES[item.state], one_line(item.outcome)) for item in items]
    return "\n\n".join(block for block in (table(about), table(rows)) if block)


def head_data(retro: Retro) -> dict[str, Any]:
    """One retro-action without its copies, for JSON."""
    return {"id": retro.name, "begun_at": retro.begun_at, "undone_at": retro.undone_at or None, "order": asdict(retro.order)}


def retro_data(retro: Retro, items: Sequence[Item]) -> dict[str, Any]:
    """With them."""
    return head_data(retro) | {
        "copies": [{"id": item.id, "recipient": item.recipient, "state": item.state, "outcome": item.outcome} for item in items]
    }
