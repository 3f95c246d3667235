"""What does a program that reads ASCII only get in place of a header in UTF-8? (RFC 6858, the simplified downgrading)

It can show the message and not answer those whose addresses it could not write. Nothing of the stored message is changed, and
headers of parts are left as they are.
"""

from mailward.formats.address_lists import read_address_list
from mailward.formats.continuations import in_ascii, joined
from mailward.formats.header import named_fields, unfold
from mailward.formats.mailboxes import Mailbox
from mailward.formats.parameters import parse_parameterised
from mailward.formats.words import decode_words, encode_words
from mailward.formats.writing import fold_field

_ADDRESSES = frozenset(
    f"{prefix}{name}" for prefix in ("", "resent-") for name in ("from", "sender", "reply-to", "to", "cc", "bcc")
)
_TEXTS = frozenset({"subject", "comments", "content-description", "keywords"})
_PARAMETERS = frozenset({"content-type", "content-disposition"})
_NOBODY = "invalid@internationalized-address.invalid"
"""RFC 6858 section 2.1."""


def surrogate_header(block: bytes) -> bytes:
    """A header block as ASCII. One that is not UTF-8 comes back as it is: these rules are not for it, and readers guess."""
    try:
        block.decode("utf-8")
    except UnicodeDecodeError:
        return block
    fields, empty_line = named_fields(block)
    return b"".join(raw if raw.isascii() else _field(name, raw) for raw, name in fields) + empty_line


def _field(name: str, raw: bytes) -> bytes:
    """b"" for a field that has no such form (section 2.4)."""
    kind, value = name.lower(), unfold(raw.partition(b":")[2])
    try:
        if kind in _TEXTS:
            return fold_field(name, decode_words(value))
        if kind.removeprefix("resent-") in _ADDRESSES:
            return fold_field(name, ", ".join(_mailbox(one) for one in read_address_list(value).mailboxes))
        if kind in _PARAMETERS:
            return _parameterised(name, value)
    except ValueError:  # a name, or a value, that no field may have
        pass
    return b""


def _mailbox(mailbox: Mailbox) -> str:
    """A mailbox that cannot be written shows its address as its name, where it has no other."""
    if mailbox.address is not None and mailbox.address.is_ascii:
        address, name = str(mailbox.address), mailbox.display_name
    else:
        address, name = _NOBODY, mailbox.display_name or decode_words(mailbox.raw)
    if not name:
        return address
    phrase = _quoted(name) if name.isascii() else " ".join(encode_words(name))
    return f"{phrase} <{address}>"


def _parameterised(name: str, value: bytes) -> bytes:
    read = parse_parameterised(value)
    if not read.value.isascii():
        return b""
    pairs = [(key.decode("ascii"), text.decode("ascii")) for key, text in map(in_ascii, joined(read.received)) if key.isascii()]
    written = (f"{key}={text if key.endswith('*') else _quoted(text)}" for key, text in pairs if key)
    return fold_field(name, "; ".join([read.value, *written]))


def _quoted(text: str) -> str:
    """A quoted-string (RFC 5322 section 3.2.4)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
