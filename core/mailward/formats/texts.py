"""What does a part say to a person, and where does it lead? The parts of a message that are read."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from mailward.formats.budgets import HTML_CHARACTERS, LINKS, TEXT_OCTETS
from mailward.formats.charset_readings import charset_readings, is_ambiguous
from mailward.formats.charsets import decode_charset
from mailward.formats.flowed import unflow
from mailward.formats.html import Html, read_html
from mailward.formats.kept import kept
from mailward.formats.links import Link, written_links
from mailward.formats.part import PartView

TEXT_TYPES = ("text/plain", "text/html")


@dataclass(frozen=True, slots=True)
class _Source:
    """The text of a part before anything is made of it."""

    text: str
    charsets: tuple[str, ...]
    is_ambiguous: bool
    is_cut: bool


@dataclass(frozen=True, eq=False)
class TextPart:
    """A part that people read. Of a longer one than `most_octets` the start is read."""

    part: PartView
    most_octets: int = TEXT_OCTETS

    @property
    def is_html(self) -> bool:
        return self.part.content_type == "text/html"

    @kept
    def text(self) -> str:
        """What a person sees: plain, made from HTML where the part is HTML, flowed lines joined (RFC 3676)."""
        if self.is_html:
            return self._html.text
        parameters = self.part.parameters
        if parameters.get("format", "").lower() != "flowed":
            return self.source
        return unflow(self.source, deletes_space=parameters.get("delsp", "").lower() == "yes")

    @property
    def source(self) -> str:
        """The content in the likeliest charset; HTML stays HTML."""
        return self._source.text

    @property
    def charsets(self) -> tuple[str, ...]:
        """The charsets in which the part may be read, likeliest first: declared, byte order mark, HTML meta, guessed."""
        return self._source.charsets

    def sources(self) -> Iterator[str]:
        """Every text that the charsets make of the content, each once, the first of them `source`. Not kept."""
        if len(self.charsets) == 1:
            return iter((self.source,))
        octets = self._octets()[: self.most_octets]
        return iter(dict.fromkeys(decode_charset(octets, charset) for charset in self.charsets))

    @kept
    def links(self) -> tuple[Link, ...]:
        """Where the part leads, in order, each once, at most LINKS."""
        return self.links_and_one[:LINKS]

    @kept
    def problems(self) -> frozenset[str]:
        """AMBIGUOUS_CHARSET and TEXT_TOO_BIG; links are counted for the whole message."""
        is_cut = self._source.is_cut or (self.is_html and len(self.source) > HTML_CHARACTERS)
        found = {"AMBIGUOUS_CHARSET": self._source.is_ambiguous, "TEXT_TOO_BIG": is_cut}
        return frozenset(name for name, is_there in found.items() if is_there)

    @kept
    def most_links(self) -> int:
        """A number that the links do not exceed, or one beyond LINKS; found without looking for them."""
        signs = ("=", ",", "(", "@") if self.is_html else ("/", ":", ".")
        return sum(_count(self.source, sign) for sign in signs)

    @kept
    def links_and_one(self) -> tuple[Link, ...]:
        """The links, and one more when there are more than LINKS."""
        return self._html.links if self.is_html else tuple(islice(dict.fromkeys(written_links(self.text)), LINKS + 1))

    @kept
    def _html(self) -> Html:
        return read_html(self.source)

    def _octets(self) -> bytes:
        """The content, and one octet more than is read when there are more; the rest stays where it is, in a file perhaps."""
        found, size_octets = [], 0
        for chunk in self.part.chunks():
            found.append(chunk)
            size_octets += len(chunk)
            if size_octets > self.most_octets:
                break
        return b"".join(found)[: self.most_octets + 1]

    @kept
    def _source(self) -> _Source:
        octets = self._octets()
        is_cut = len(octets) > self.most_octets
        octets = octets[: self.most_octets]
        declared = self.part.charset
        charsets = charset_readings(octets, declared, self.is_html)
        ambiguous = is_ambiguous(octets, declared, self.is_html, charsets)
        return _Source(decode_charset(octets, charsets[0]), charsets, ambiguous, is_cut)


def links_of(texts: Iterable[TextPart]) -> tuple[Link, ...]:
    """The links of several parts, each once, at most LINKS."""
    return tuple(islice(_distinct(texts), LINKS))


def problems_of(texts: Iterable[TextPart]) -> frozenset[str]:
    """The anomalies of the texts of a message. Links are looked for only where there may be too many."""
    texts = tuple(texts)
    found = frozenset[str]().union(*(text.problems for text in texts))
    if sum(text.most_links for text in texts) > LINKS and len(tuple(islice(_distinct(texts), LINKS + 1))) > LINKS:
        return found | {"TOO_MANY_LINKS"}
    return found


def _count(text: str, sign: str) -> int:
    """How often it is there; no further than one beyond LINKS. To jump from one to the next is faster than to count them."""
    found, at = 0, text.find(sign)
    while at >= 0 and found <= LINKS:
        found += 1
        at = text.find(sign, at + 1)
    return found


def _distinct(texts: Iterable[TextPart]) -> Iterator[Link]:
    seen: set[Link] = set()
    for text in texts:
        for link in text.links_and_one:
            if link not in seen:
                seen.add(link)
                yield link
