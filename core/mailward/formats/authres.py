"""How are authentication results published, and which published ones pretend to be ours? (RFC 8601)

The values are built with the `authres` library, which neither folds nor guards against injection: an '@' makes it write a
value as it stands. So keywords are checked, values cleaned and quoted here, and lines broken between properties.
"""

import re
from collections.abc import Iterator, Sequence

import authres

from mailward.formats.domains import AddressSyntaxError, normalise_domain
from mailward.formats.header import FieldView, split_header
from mailward.formats.message import MessageView
from mailward.formats.parameters import strip_comments
from mailward.formats.writing import LINE_OCTETS
from mailward.model.evidence import AuthResult

MAX_VALUE_CHARACTERS = 300

_KEYWORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+")
_MAILBOX = re.compile(r"(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*)?@[A-Za-z0-9.-]+")
_CLEAN_CLAIM = re.compile(r"\s*([A-Za-z0-9._-]+)(?:\s+\d+)?\s*")
_NAME = b"authentication-results:"
_NOT_IN_NAMES = bytes(range(33)) + b"\x7f"
"""What `FieldView` leaves out of a name."""
_HIDERS = str.maketrans("", "", '"\\' + "".join(map(chr, range(32))) + "\x7f")


class _Value(authres.QuotableValue):
    """A value that is quoted whenever it is neither a token nor a plain mailbox (RFC 8601 section 2.2; T-AR-02)."""

    def quote_if_needed(self) -> str:
        if _TOKEN.fullmatch(self) or _MAILBOX.fullmatch(self):
            return str(self)
        escaped = self.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'


def authentication_results(authserv_id: str, results: Sequence[AuthResult]) -> str:
    """The whole field, folded, with its last CRLF; "none" when there is nothing to publish.

    A result or property whose keywords are not RFC 8601 keywords is left out. Values lose control characters and what
    is not ASCII, and are cut at 300 characters.
    """
    bodies = [_folded(result) for result in results if _is_keyword(result.method) and _is_keyword(result.result)]
    return f"Authentication-Results: {authserv_id}; none\r\n" if not bodies else _field(authserv_id, bodies)


def _field(authserv_id: str, bodies: list[str]) -> str:
    return ";\r\n\t".join([f"Authentication-Results: {authserv_id}", *bodies]) + "\r\n"


def _is_keyword(word: str) -> bool:
    return _KEYWORD.fullmatch(word) is not None


def _folded(result: AuthResult) -> str:
    head = authres.AuthenticationResult(result.method, result=result.result)
    head.reason = _Value(_clean(result.reason)) if result.reason and _clean(result.reason) else None
    lines = [str(head)]
    for text in _properties(result):
        if len(lines[-1]) + len(text) > LINE_OCTETS - 9:
            lines.append("")
        lines[-1] += f" {text}"
    return "\r\n\t ".join(line.lstrip() for line in lines)


def _properties(result: AuthResult) -> Iterator[str]:
    for name, value in result.properties:
        ptype, _, keyword = name.partition(".")
        if _is_keyword(ptype) and _is_keyword(keyword):
            written = authres.AuthenticationResultProperty(ptype, keyword)
            written.value = _Value(_clean(value))
            yield str(written)


def _clean(text: str) -> str:
    return "".join(c for c in text if " " <= c <= "~")[:MAX_VALUE_CHARACTERS]


def forged_indexes(view: MessageView, authserv_id: str) -> tuple[int, ...]:
    """The places of the fields to be removed at entry because they could pass for our results (RFC 8601 section 5; T-AR-01).

    Places count from 0 at the top, as in `RemoveFieldAt`. A first line that begins with a blank is among them whatever it
    says: below a field of ours it would become the end of that field.
    """
    header = view.header_octets
    if not header.startswith((b" ", b"\t")) and _NAME not in header.translate(None, _NOT_IN_NAMES).lower():
        return ()  # most messages
    own = authserv_id.lower().rstrip(".")
    fields = (FieldView.of(raw) for raw in split_header(header)[0])
    return tuple(
        index
        for index, field in enumerate(fields)
        if (index == 0 and field.raw[:1] in (b" ", b"\t"))
        or (field.name.lower() == "authentication-results" and _claims(field, own))
    )


def _claims(field: FieldView, own: str) -> bool:
    """Whether the field names this authserv-id, or cannot be read and mentions it anywhere before its first result."""
    head = strip_comments(field.value, b" ").decode("utf-8", "replace").partition(";")[0].lower()
    head = head.replace("\t", " ").translate(_HIDERS)
    clean = _CLEAN_CLAIM.fullmatch(head)
    if clean is not None:
        return clean.group(1).rstrip(".") == own
    mentions = field.value.decode("utf-8", "replace").lower().translate(_HIDERS)
    return own in mentions or own in "".join(head.split()) or _same_domain(head.strip(), own)


def _same_domain(text: str, own: str) -> bool:
    try:
        return normalise_domain(text.rstrip(".")) == own
    except AddressSyntaxError:
        return False
