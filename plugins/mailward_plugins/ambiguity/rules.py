"""Which oddities of a message matter, and how is that said in a sentence?

The anomalies say that readers may differ. Whether they do is found by comparing what the readings hold: honest mail with an odd
parameter or without its last delimiter reads the same to everybody.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mailward.api import ANOMALIES, Anomaly, Asked, MessageView, Reading, Readings

_BLANKS = b" \t\r\n"
_FRAGMENTS = frozenset({"message/partial", "message/external-body"})
_REFUSED_SIZES = frozenset({"FIELD_TOO_BIG", "HEADER_BLOCK_TOO_BIG", "TOO_MANY_FIELDS"})
_HARMLESS_SIZES = frozenset({"TEXT_TOO_BIG", "TOO_MANY_LINKS", "TOO_MANY_WORDS"})
_CHARSET_DIFFERS = "AMBIGUOUS_CHARSET"
_AUTHOR_TWICE = "DUPLICATE_FROM"
_AUTHOR_DIFFERS = frozenset({"FROM_AMBIGUOUS", "MULTIPLE_FROM_DOMAINS"})
_SENTENCES = 3


@dataclass(frozen=True, slots=True)
class Observation:
    """A symbol, a sentence for people, and the verdict that security asks for."""

    symbol: str
    text: str
    asks: Asked | None = None


def observe(message: MessageView) -> list[Observation]:
    """All that is to be said about a message; empty for honest mail."""
    known = {name: ANOMALIES[name] for name in message.anomalies}
    readings = message.readings()
    found = [_of_mime(known, readings), _of_author(known, message), _of_budget(known, readings), _of_fragments(message, readings)]
    if readings.has_encrypted:
        found.append(Observation("ENCRYPTED_CONTENT", "Only its recipient can read what it carries"))
    twice = [name for name in known if name.startswith("DUPLICATE_") and known[name].kind == "header"]
    if twice:
        found.append(Observation("DUPLICATE_FIELD", _sentences(known, twice)))
    return [observation for observation in found if observation is not None]


def rivals(readings: Readings) -> list[Reading]:
    """The readings that show something else than what is declared, blanks aside."""
    likely = [reading for reading in readings if reading.is_rival]
    if not likely:
        return []
    declared = {_digest(reading) for reading in readings if reading.is_declared}
    return [reading for reading in likely if (digest := _digest(reading)) is not None and digest not in declared]


def _digest(reading: Reading) -> bytes | None:
    """None for content of blanks only."""
    digest, is_empty = hashlib.sha256(), True
    for piece in reading.chunks():
        kept = piece.translate(None, _BLANKS)
        is_empty = is_empty and not kept
        digest.update(kept)
    return None if is_empty else digest.digest()


def _of_mime(known: Mapping[str, Anomaly], readings: Readings) -> Observation | None:
    names = [name for name in known if known[name].hides_content]
    different = rivals(readings)
    if different:
        first = different[0]
        more = f" and in {len(different) - 1} other ways" if len(different) > 1 else ""
        reason = f" ({_sentences(known, names)})" if names else ""
        text = f"{_place(first)}: other readers find other content, {first.how}{more}{reason}"
        return Observation("AMBIGUOUS_MIME", text, "quarantine")
    if _CHARSET_DIFFERS in names:
        return Observation("AMBIGUOUS_MIME", known[_CHARSET_DIFFERS].sentence, "quarantine")
    return Observation("ODD_MIME", f"{_sentences(known, names)}; all readings agree") if names else None


def _place(reading: Reading) -> str:
    if not reading.part:
        return "The message"
    return f"Part {reading.part}" if reading.part[0].isdigit() else reading.part[0].upper() + reading.part[1:]


def _of_author(known: Mapping[str, Anomaly], message: MessageView) -> Observation | None:
    names = [name for name in known if known[name].kind == "author"]
    if _AUTHOR_TWICE in names:
        # RFC 5322 section 3.6: one From. Readers take the first or the last, and DMARC would have to guess which.
        return Observation("AMBIGUOUS_AUTHOR", _sentences(known, names), "reject")
    if _AUTHOR_DIFFERS & set(names) or any(field.is_malformed for field in message.all("From")):
        return Observation("AMBIGUOUS_AUTHOR", _sentences(known, names), "quarantine")
    if "MISSING_FROM" in names:
        # Without a From there is nobody to be taken for somebody else; an empty group shows a name (T-HDR-05).
        return Observation("MISSING_AUTHOR", _sentences(known, names), "quarantine" if message.all("From") else None)
    return Observation("ODD_AUTHOR", _sentences(known, names)) if names else None


def _of_budget(known: Mapping[str, Anomaly], readings: Readings) -> Observation | None:
    names = [name for name in known if known[name].kind == "budget"]
    texts = [_sentences(known, names)] if names else []
    if readings.is_cut:
        texts.append("It can be read in more ways than are tried")
    if not texts:
        return None
    asks: Asked | None = "quarantine" if readings.is_cut or set(names) - _HARMLESS_SIZES else None
    return Observation("BEYOND_BUDGET", "; ".join(texts), "reject" if _REFUSED_SIZES & set(names) else asks)


def _of_fragments(message: MessageView, readings: Readings) -> Observation | None:
    types = {part.content_type for part in message.parts()} | {reading.content_type for reading in readings}
    for content_type in sorted(_FRAGMENTS & types):
        text = f"It holds a {content_type}, whose content comes piece by piece or from elsewhere and cannot be scanned"
        return Observation("MESSAGE_FRAGMENT", text, "quarantine")
    return None


def _sentences(known: Mapping[str, Anomaly], names: Iterable[str]) -> str:
    sentences = [known[name].sentence for name in names]
    more = f"; and {len(sentences) - _SENTENCES} more" if len(sentences) > _SENTENCES else ""
    return "; ".join(_lowered(sentences[:_SENTENCES])) + more


def _lowered(sentences: list[str]) -> Iterator[str]:
    """The first begins a sentence, the others go on."""
    for number, sentence in enumerate(sentences):
        yield sentence if number == 0 or sentence[1:2].isupper() else sentence[0].lower() + sentence[1:]
