"""Is this a mailbox of the envelope, and which? SMTP paths (RFC 5321 section 4.1.2; RFC 6531 section 3.3).

The grammar is strict. A local-part may be as long as the path lets it: rewritten and personal reverse-paths of real servers are
longer than the 64 octets of RFC 5321 section 4.5.3.1.1, which wants at least these. Address lists of header fields have a looser
grammar of their own in `mailboxes`; both make the same `Address` values, through the same domains.
"""

import re

from mailward.formats.domains import AddressSyntaxError, normalise_domain
from mailward.model.address import NULL_REVERSE_PATH, Address, ForwardPath, ReversePath

MAX_MAILBOX_OCTETS = 254
"""RFC 5321 section 4.5.3.1.3: a path of 256 octets, less its angle brackets."""

# Atoms and quoted text take everything above ASCII here; whether they may is decided by SMTPUTF8 (RFC 6531 section 3.3).
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\xa0-\ud7ff\ue000-\U0010ffff-]+"
_DOT_STRING = rf"{_ATOM}(?:\.{_ATOM})*"
_QUOTED_STRING = r'"(?:[ !#-\[\]-~\xa0-\ud7ff\ue000-\U0010ffff]|\\[ -~])*"'
_LOCAL_PART = re.compile(rf"({_DOT_STRING})(?=@)|({_QUOTED_STRING})(?=@)")
_QUOTED_PAIR = re.compile(r"\\(.)")
_DOMAIN_CHARACTERS = re.compile(r"\[[^\[\]\\<>\s]*\]|[^@<>\[\]\"(),:;\\\s\x00-\x20\x7f]+")
_SOURCE_ROUTE = re.compile(r"@[^@<>,:\s]+(?:,@[^@<>,:\s]+)*:")
_PATH = re.compile(rb'<((?:[^<>"\r\n\0]|"(?:[^"\\\r\n\0]|\\[^\r\n\0])*")*)>')


def parse_reverse_path(octets: bytes, *, smtputf8: bool) -> tuple[ReversePath, bytes]:
    """The reverse-path at the start of the octets, and what follows it. Raises AddressSyntaxError."""
    inner, rest = _open_path(octets, smtputf8=smtputf8)
    return NULL_REVERSE_PATH if not inner else ReversePath(_path_mailbox(inner)), rest


def parse_forward_path(octets: bytes, *, smtputf8: bool) -> tuple[ForwardPath, bytes]:
    """The forward-path at the start of the octets, and what follows it. Raises AddressSyntaxError.

    A bare `<Postmaster>`, in any case, is Address("postmaster", "") (RFC 5321 section 4.1.1.3).
    """
    inner, rest = _open_path(octets, smtputf8=smtputf8)
    if inner.lower() == "postmaster":
        return ForwardPath(Address("postmaster", "")), rest
    return ForwardPath(_path_mailbox(inner)), rest


def parse_mailbox(text: str) -> Address:
    """The mailbox that the whole text is, as in a path but without angle brackets. Raises AddressSyntaxError."""
    found = _LOCAL_PART.match(text)
    if found is None:
        raise AddressSyntaxError("the local-part is malformed" if "@" in text else "the domain is missing")
    dot_string, quoted = found.groups()
    local_part = dot_string if quoted is None else _QUOTED_PAIR.sub(r"\1", quoted[1:-1])
    domain = text[found.end() + 1 :]
    if not _DOMAIN_CHARACTERS.fullmatch(domain):
        raise AddressSyntaxError("the domain is malformed")
    if len(text.encode("utf-8", "replace")) > MAX_MAILBOX_OCTETS:
        raise AddressSyntaxError("the address is longer than 254 octets")
    return Address(local_part, normalise_domain(domain))


def _open_path(octets: bytes, *, smtputf8: bool) -> tuple[str, bytes]:
    found = _PATH.match(octets)
    if found is None:
        raise AddressSyntaxError("a path in angle brackets is needed")
    try:
        inner = found.group(1).decode("utf-8")
    except UnicodeDecodeError:
        raise AddressSyntaxError("the address is not valid UTF-8") from None
    if not smtputf8 and not inner.isascii():
        raise AddressSyntaxError("this address needs SMTPUTF8", needs_smtputf8=True)
    return inner, octets[found.end() :]


def _path_mailbox(inner: str) -> Address:
    # RFC 5321 section 3.3 and appendix C: a source route is read and ignored.
    route = _SOURCE_ROUTE.match(inner)
    return parse_mailbox(inner[route.end() :] if route else inner)
