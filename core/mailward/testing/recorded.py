"""A session that `mailward record` has saved, as values for a test."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from mailward.api import EnvelopeView, MessageView, RecordType, SessionView, TlsFacts
from mailward.testing.fakes import FakeZone
from mailward.testing.making import make_envelope, make_session

VERSION = 1


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message as it came. octets: masked. at: when it was recorded. facts, symbols: what the server's plugins found then.

    zone: DNS as they saw it; names that they did not ask for do not exist.
    """

    session: SessionView
    envelope: EnvelopeView
    octets: bytes
    at: datetime
    zone: FakeZone
    facts: Mapping[str, object]
    symbols: tuple[str, ...]

    @property
    def message(self) -> MessageView:
        return MessageView(self.octets)


def recorded(file: str | Path) -> Recorded:
    """The only recording in a file. Raises ValueError for another number of them, for a later version, or anything else."""
    found = recordings(file)
    if len(found) != 1:
        raise ValueError(f"{file} holds {len(found)} recordings; use recordings(), which gives all of them")
    return found[0]


def recordings(file: str | Path) -> tuple[Recorded, ...]:
    """All recordings in a file, in order: `mailward record ... >> file`. Raises ValueError."""
    text, at, found = Path(file).read_text(encoding="utf-8"), 0, []
    decoder = json.JSONDecoder()
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        data, at = decoder.raw_decode(text, at)
        found.append(_recorded(data, file))
    return tuple(found)


def _recorded(data: Any, file: str | Path) -> Recorded:
    if not isinstance(data, dict) or data.get("version") != VERSION:
        raise ValueError(f"{file} holds no recording of version {VERSION}; mailward record makes one")
    said = data["session"]
    tls = TlsFacts(said["tls"], "") if said["tls"] else None
    return Recorded(
        make_session(said["ip"], said["helo"], user=said["user"], tls=tls),
        make_envelope(data["envelope"]["mail_from"], data["envelope"]["rcpt"]),
        "\r\n".join(data["message"]).encode("latin-1"),
        datetime.fromisoformat(data["recorded_at"]),
        _zone(data["dns"]),
        {name: tuple(value) if isinstance(value, list) else value for name, value in data["facts"].items()},
        tuple(data["symbols"]),
    )


def _zone(answers: Mapping[str, Mapping[str, Any]]) -> FakeZone:
    zone = FakeZone()
    for asked, answer in answers.items():
        name, _, kind = asked.partition(" ")
        record_type = cast(RecordType, kind)
        if answer["status"] == "fails":
            zone.fail(name, record_type)
        elif answer["status"] == "nodata":
            zone.add(name, record_type)
        elif answer["status"] == "found":
            place = answer.get("canonical_name", "") or name
            if place != name:
                zone.add(name, "CNAME", place)
            zone.add(place, record_type, *answer["records"])
            if answer.get("authenticated"):
                zone.authenticated.add(name)
    return zone
