"""Where could a person be led by this text? Links as clients follow them: spelled out, with the text that a person sees.

Addresses are read as browsers read them, not as RFC 3986 has them: blanks around and breaks within are dropped, a backslash is
a slash, and any number of slashes stands before a host. Linear in the input; never raises.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import islice
from typing import Literal
from urllib.parse import unquote, urljoin

from mailward.formats.budgets import LINKS, URL_CHARACTERS
from mailward.formats.domains import AddressSyntaxError, normalise_domain

LinkKind = Literal["followed", "submitted", "refreshed", "loaded", "written", "listed"]

OFFERED_SCHEMES = frozenset({"http", "https", "mailto"})
"""What a stranger's message may ask a person to open; not javascript, data, file or the schemes of programs (T-HDR-24)."""
_WEB = frozenset({"http", "https", "ftp"})
"""Schemes whose hosts browsers find behind any number of slashes."""

_EDGES = "".join(map(chr, range(33)))
_BREAKS = re.compile(r"[\t\r\n]+")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*+):")
_BEFORE_QUERY = re.compile(r"[^?#]*+")
_AUTHORITY = re.compile(r"(?:[a-z][a-z0-9+.-]*+:)?//([^/?#]*+)")
_NUMBER = re.compile(r"0x[0-9a-f]{0,16}|[0-9]{1,16}")

_SIGN = re.compile(r"[:/wW](?:(?<=:)(?=//)|(?<=[oO]:)|(?<=[^\W\d_]/)(?=\w)|(?<=[wW])[wW]{2}\.(?=\w))")
"""Where an address may be: found fast, then looked at closely."""
_REST = re.compile(r"[^\s<>\"\u201c\u201d\xab\xbb]+")
_ENCLOSED = re.compile(r"([^<>\"]{1,4096})>")
"""An address in angle brackets may go over several lines (RFC 3986 appendix C)."""
_OPENED = re.compile(r"<(?:URL:)?\Z", re.IGNORECASE)
_MAILBOX = re.compile(r"[^\s@]{1,64}@")
_DOMAIN_BEFORE = re.compile(r"(?<![\w.@/:=-])(?:[a-z0-9][a-z0-9-]{0,62}\.){1,8}[a-z]{2,24}\Z", re.IGNORECASE)
_DOMAIN_CHARACTERS = 128
_AFTER = ".,;:!?'*_~|`\u2019\u2026"
"""Punctuation that belongs to the sentence."""
_PAIRS = {")": "(", "]": "[", "}": "{"}
_BRACKETED = re.compile(r"<([^<>]*)>")

_SHOWN_URL = re.compile(r"(?:https?|ftp):[/\\]{1,2}\S+|\bwww\.\w\S+", re.IGNORECASE)
_SHOWN_DOMAIN = re.compile(r"(?:[^\W_][\w-]{0,62}\.){1,8}[^\W\d_]{2,24}(?:[/:?#]\S*)?")


@dataclass(frozen=True, slots=True)
class Link:
    """url: absolute where that can be, at most URL_CHARACTERS. text: what a person sees in its place; "" when that is nothing.

    kind: "followed" by a click, "submitted" by a form, "refreshed" without one, "loaded" to be shown (images, styles, frames),
    "written" in the text itself, "listed" in a List- field.
    """

    url: str
    text: str = ""
    kind: LinkKind = "written"

    @property
    def scheme(self) -> str:
        """In lower case; "" for what is relative to nothing."""
        found = _SCHEME.match(self.url)
        return found.group(1).lower() if found else ""

    @property
    def is_offered(self) -> bool:
        """Whether a page of ours may let a person follow it."""
        return self.scheme in OFFERED_SCHEMES

    @property
    def host(self) -> str:
        """The domain in A-labels or the IP address that it leads to, of mailto that of its address; "" when there is none."""
        if self.scheme == "mailto":
            return canonical_host(unquote(self.url[7:].partition("?")[0]).rpartition("@")[2])
        found = _AUTHORITY.match(self.url)
        return canonical_host(_without_port(unquote(found.group(1).rpartition("@")[2]))) if found else ""

    @property
    def shown_host(self) -> str:
        """The host that the text seems to name, as `host` would spell it; "" when the text is no address of the web."""
        text = self.text.strip()
        found = _SHOWN_URL.search(text) or _SHOWN_DOMAIN.fullmatch(text)
        return Link(_with_scheme(found.group())).host if found else ""


def canonical_host(host: str) -> str:
    """One spelling of a host: A-labels in lower case, IPv4 with dots however its number is written, else in lower case."""
    host = host.strip().removesuffix(".")
    if not host:
        return ""
    try:
        host = normalise_domain(host)
    except AddressSyntaxError:
        host = host.lower()
    return _ipv4(host) or host


def _ipv4(host: str) -> str | None:
    """The address that browsers take a host of numbers for: 2130706433, 0x7f.1 and 0177.0.0.1 are 127.0.0.1."""
    parts = host.split(".", 4)
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    try:
        numbers = [int(part[2:] or "0", 16) if part[:2] == "0x" else int(part, 8 if part[0] == "0" else 10) for part in parts]
    except ValueError:  # 089
        return None
    *first, last = numbers
    if any(number > 255 for number in first) or last >= 256 ** (5 - len(parts)):
        return None
    return str(IPv4Address(last + sum(number << (24 - 8 * place) for place, number in enumerate(first))))


def _without_port(authority: str) -> str:
    if authority.startswith("["):
        return authority.partition("]")[0] + "]"
    return authority.partition(":")[0]


def resolved(url: str, base: str = "") -> str:
    """The address that a browser would go to from a page at `base`; unchanged when it is relative and there is no base."""
    url = _BREAKS.sub("", url[: 2 * URL_CHARACTERS].strip(_EDGES))[:URL_CHARACTERS]
    named = _SCHEME.match(url)
    if named:
        scheme, rest = named.group(1).lower(), url[named.end() :]
        return f"{scheme}://{_slashed(rest).lstrip('/')}" if scheme in _WEB else f"{scheme}:{rest}"
    slashed = _slashed(url)
    if slashed.startswith("//"):
        return f"{Link(base).scheme}:{slashed}" if base else slashed
    if not base or not url or url.startswith("#"):
        return url
    try:
        return urljoin(base, slashed)[:URL_CHARACTERS].strip(_EDGES)
    except ValueError:
        return url


def base_of(href: str) -> str:
    """What the links of a page with this <base> are relative to; "" when it is no address of the web."""
    base = resolved(href)
    return base if Link(base).scheme in _WEB else ""


def _slashed(url: str) -> str:
    end = _BEFORE_QUERY.match(url).end()  # type: ignore[union-attr]  # it matches nothing at least
    return url[:end].replace("\\", "/") + url[end:]


def _with_scheme(url: str) -> str:
    named = _SCHEME.match(url)
    return resolved(url) if named and (named.group(1).lower() in _WEB or url.lower().startswith("mailto:")) else f"http://{url}"


def written_links(text: str) -> Iterator[Link]:
    """The addresses written in plain text, in order, as often as they stand there: those that clients let a person follow.

    Found are http, https, ftp and mailto, "www." without a scheme, and a domain with a path.
    """
    end = 0
    for sign in _SIGN.finditer(text):
        if sign.start() < end:
            continue
        start = _start_of_address(text, sign.start(), end)
        if start is None:
            continue
        enclosed = _ENCLOSED.match(text, start) if _OPENED.search(text, max(0, start - 5), start) else None
        found = enclosed or _REST.match(text, start)
        if found is not None:
            end = found.end()
            url = _unfolded(enclosed[1]) if enclosed else _without_punctuation(found.group())
            yield Link(_with_scheme(url), url, "written")


def _start_of_address(text: str, place: int, least: int) -> int | None:
    """Where the address starts that has this ":", "/" or "www." at a place; None when there is none."""
    sign = text[place]
    if sign == ":" and text.startswith("//", place + 1):
        word = text[max(least, place - 5) : place].lower()
        return next((place - len(scheme) for scheme in ("https", "http", "ftp") if word.endswith(scheme)), None)
    if sign == ":":
        is_mail = text[max(least, place - 6) : place].lower() == "mailto" and not text[place - 7 : place - 6].isalnum()
        return place - 6 if is_mail and _MAILBOX.match(text, place + 1) else None
    if sign == "/":
        if "." not in text[max(least, place - 25) : place]:
            return None
        least = max(least, place - _DOMAIN_CHARACTERS)
        domain = _DOMAIN_BEFORE.search(text, max(least, text.rfind(" ", least, place), text.rfind("\n", least, place)), place)
        return domain.start() if domain else None
    return None if place and (text[place - 1].isalnum() or text[place - 1] in "_.@/-") else place


def _unfolded(url: str) -> str:
    return "".join(line.strip() for line in url.split("\n")).partition(" ")[0]


def _without_punctuation(url: str) -> str:
    url = url[:URL_CHARACTERS]
    surplus = {close: url.count(close) - url.count(opening) for close, opening in _PAIRS.items()}
    end = len(url)
    while end and (url[end - 1] in _AFTER or surplus.get(url[end - 1], 0) > 0):
        surplus[url[end - 1]] = surplus.get(url[end - 1], 0) - 1
        end -= 1
    return url[:end]


LIST_FIELDS = ("List-Help", "List-Unsubscribe", "List-Subscribe", "List-Post", "List-Owner", "List-Archive")
"""RFC 2369 section 3."""


def list_links(value: str) -> tuple[Link, ...]:
    """The addresses of a List-Unsubscribe or another List- field in order of preference (RFC 2369 section 2)."""
    found = islice(_BRACKETED.finditer(value), LINKS)
    return tuple(Link(resolved("".join(one.group(1).split())), "", "listed") for one in found)
