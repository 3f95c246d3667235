"""One entry of the quarantine as `show` prints it: plain text, whatever is in the message."""

from datetime import datetime

from mailward.cli.decisions import headline, source_text
from mailward.cli.output import moment, table
from mailward.cli.reading import LINE_CHARACTERS, MOST_FIELDS, attachment_line, field_lines, text_lines
from mailward.formats.message import MessageView
from mailward.formats.text import one_line
from mailward.model.decision import DecisionRecord, RecipientDecision
from mailward.quarantine import Held

TEXT_LINES = 30


def _decision(held: Held, record: DecisionRecord | None) -> RecipientDecision | None:
    """Why it is here, as far as the decision store knows."""
    decisions = {} if record is None else {decision.recipient: decision for decision in record.recipients}
    return decisions.get(held.judged_as(decisions))


def judged(held: Held, record: DecisionRecord | None) -> dict[str, object]:
    """What decided, for JSON."""
    decision = _decision(held, record)
    return {"verdict": decision.verdict if decision else None, "decided_by": source_text(decision) if decision else None}


def content(message: MessageView) -> dict[str, object]:
    """Header, first lines and names of attachments, for JSON."""
    return {
        "header": [[field.name, field.text] for field in message.fields[:MOST_FIELDS]],
        "text": "\n".join(text_lines(message)[:TEXT_LINES]),
        "attachments": [
            {"names": list(part.filenames), "type": part.content_type, "size_octets": part.size_octets}
            for part in message.attachments()
        ],
    }


def entry_text(held: Held, message: MessageView, record: DecisionRecord | None, expires: datetime) -> str:
    """All that `show` prints of one."""
    decision = _decision(held, record)
    about = [
        ("id", held.delivery_key),
        ("recipient", held.recipient),
        ("envelope", f"from <{one_line(held.reverse_path)}>, {held.size_octets} octets"),
        ("received", moment(held.held_at)),
        ("expires", moment(expires)),
        ("reason", one_line(held.reason)),
        ("leads to", {"mailbox": "a mailbox here", "relay": "another server"}.get(held.route, held.route)),
    ]
    if held.infected:
        about.append(("INFECTED", "it carries malware; a release needs --even-infected"))
    if record is not None and decision is not None:
        about.append(("decision", one_line(headline(record, decision))))
        about.append(("", f"mailward explain {held.id}   says more"))
    fields = [f"  {line}" for line in field_lines(message)]
    lines = text_lines(message)
    body = [f"  {one_line(line, LINE_CHARACTERS)}" for line in lines[:TEXT_LINES]] or ["  (no text)"]
    if len(lines) > TEXT_LINES:
        body.append(f"  ({len(lines) - TEXT_LINES} more lines)")
    blocks = [table(about), "\n".join(["header", *fields]), "\n".join(["text", *body])]
    attachments = [f"  {attachment_line(part)}" for part in message.attachments()]
    if attachments:
        blocks.append("\n".join(["attachments", *attachments]))
    return "\n\n".join(blocks)
