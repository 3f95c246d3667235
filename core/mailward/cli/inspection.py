"""How one message was read, as text for people and as JSON: fields, tree of parts, anomalies, readings."""

from dataclasses import asdict
from typing import Any

from mailward.cli.reading import LINE_CHARACTERS, attachment_names, field_line
from mailward.formats.anomalies import ANOMALIES
from mailward.formats.message import MessageView
from mailward.formats.part import PartView
from mailward.formats.text import one_line

_MOST_READINGS = 60
_HIDES = "; another reader may find other content"


def report_as_text(message: MessageView) -> str:
    """Everything, readable first."""
    lines = message.lines
    head = f"{message.size_octets} octets, the longest line has {lines.longest_octets}"
    sections = [("Fields", _field_lines(message) or ["none"]), ("Parts", _tree_lines(message, places=False))]
    sections += [("Anomalies", _anomaly_lines(message) or ["none"]), ("Readings", _reading_lines(message))]
    return "\n\n".join([head, *("\n".join([title, *(f"  {line}" for line in body)]) for title, body in sections)])


def _field_lines(message: MessageView) -> list[str]:
    """Every field, for what is hidden may be hidden behind many; those that are none as they stand there."""
    return [
        f"(no field) {one_line(field.raw.decode('latin-1'), LINE_CHARACTERS)}" if field.is_malformed else field_line(field)
        for field in message.fields
    ]


def tree(message: MessageView) -> str:
    """The parts alone, each with where it starts, where its body starts and where it ends."""
    return "\n".join(_tree_lines(message, places=True))


def _tree_lines(message: MessageView, *, places: bool) -> list[str]:
    rows = [(part.number, part) for part in message.parts()]
    width = max(len(number) for number, _ in rows)
    return [f"{number:<{width}}  {'  ' * part.depth}{_described(part, places=places)}" for number, part in rows]


def _described(part: PartView, *, places: bool) -> str:
    words = [one_line(part.content_type)]
    if part.charset:
        words.append(one_line(part.charset))
    if part.encoding != "7bit":
        words.append(one_line(part.encoding))
    if part.filenames:
        words.append(attachment_names(part))
    words.append(f"{part.size_octets} octets")
    if places:
        words.append(f"at {part.start}, body {part.body_start}-{part.end}")
    return ", ".join(words)


def _anomalies(message: MessageView) -> list[tuple[str, list[str]]]:
    """Each name, and the numbers of the parts it was found in; none for what is about the message as a whole."""
    found: dict[str, list[str]] = {name: [] for name in message.anomalies}
    for part in message.parts():
        for name in part.problems:
            found[name].append(part.number)
    return sorted(found.items())


def _anomaly_lines(message: MessageView) -> list[str]:
    lines = []
    for name, numbers in _anomalies(message):
        anomaly = ANOMALIES[name]
        parts = [f"part {number}" if number else "the message itself" for number in numbers]
        where = f" ({', '.join(parts[:5])}{', ...' if len(parts) > 5 else ''})" if parts else ""
        lines.append(f"{name}: {anomaly.sentence}{where}{_HIDES if anomaly.hides_content else ''}")
    return lines


def _reading_lines(message: MessageView) -> list[str]:
    readings = message.readings()
    lines = []
    for reading in readings:
        names = f", {', '.join(one_line(name) for name in reading.filenames)}" if reading.filenames else ""
        rival = "; another reader may show this instead" if reading.is_rival else ""
        lines.append(f"{reading.part or 'the message itself'}: {reading.how}, {one_line(reading.content_type)}{names}{rival}")
    seen = list(dict.fromkeys(lines))
    shown = seen[:_MOST_READINGS] + (
        [f"... and {len(seen) - _MOST_READINGS} more, see --json"] if len(seen) > _MOST_READINGS else []
    )
    return [*shown, "more than the budget allows"] if readings.is_cut else shown or ["none"]


def report_as_json(message: MessageView) -> dict[str, Any]:
    """The same for programs; texts are decoded, places are offsets in octets."""
    return {
        "size_octets": message.size_octets,
        "lines": asdict(message.lines),
        "fields": [
            {
                "name": field.name,
                "text": one_line(field.text, LINE_CHARACTERS),
                "start": field.start,
                "value_start": field.value_start,
                "end": field.end,
                "malformed": field.is_malformed,
            }
            for field in message.fields
        ],
        "parts": tree_as_json(message),
        "anomalies": [
            {
                "name": name,
                "kind": ANOMALIES[name].kind,
                "hides_content": ANOMALIES[name].hides_content,
                "sentence": ANOMALIES[name].sentence,
                "parts": numbers,
            }
            for name, numbers in _anomalies(message)
        ],
        "readings": [
            {
                "part": reading.part,
                "how": reading.how,
                "content_type": reading.content_type,
                "filenames": list(reading.filenames),
                "is_declared": reading.is_declared,
                "is_rival": reading.is_rival,
            }
            for reading in message.readings()
        ],
        "readings_cut": message.readings().is_cut,
    }


def tree_as_json(message: MessageView) -> list[dict[str, Any]]:
    """The parts alone."""
    return [_part_as_json(part) for part in message.parts()]


def _part_as_json(part: PartView) -> dict[str, Any]:
    return {
        "number": part.number,
        "depth": part.depth,
        "content_type": part.content_type,
        "charset": part.charset,
        "encoding": part.encoding,
        "disposition": part.disposition,
        "filenames": list(part.filenames),
        "start": part.start,
        "body_start": part.body_start,
        "end": part.end,
        "anomalies": sorted(part.problems),
    }
