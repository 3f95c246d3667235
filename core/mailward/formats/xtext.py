"""How does text travel in an SMTP parameter? (RFC 3461 section 4, xtext; RFC 6533 section 3, utf-8-addr-xtext)"""

import re

XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_ESCAPED = re.compile(r"\+([0-9A-F]{2})")
_TO_ESCAPE = re.compile(r"[^!-*,-<>-~]")
_UTF8_XTEXT = re.compile(r"(?:[!-*,-<>-\[\]-~]|\\x\{(?:0[1-9A-F]|[1-9A-F][0-9A-F]{1,5})\})+")
_EMBEDDED = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
_NOT_SAFE = re.compile(r"[^!-*,-<>-\[\]-~]")


def decode_xtext(text: str) -> str:
    """Printable ASCII out of xtext. Raises ValueError for what is no xtext, or stands for anything but printable ASCII."""
    decoded = _octets(text)
    if not (decoded.isascii() and decoded.isprintable()):
        raise ValueError("xtext of octets that are not printable ASCII")
    return decoded


def _octets(text: str) -> str:
    """What xtext stands for, a character an octet."""
    if not XTEXT.fullmatch(text):
        raise ValueError("not xtext")
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def encode_xtext(text: str) -> str:
    """Printable ASCII as xtext: "+", "=" and the space are written in hexadecimal."""
    return _TO_ESCAPE.sub(lambda found: f"+{ord(found[0]):02X}", text)


def utf8_address_xtext(text: str) -> str:
    """An address of type utf-8 in the form that is safe everywhere: what is beyond ASCII is written "\\x{HEX}".

    text: in that form, or as UTF-8. Raises ValueError.
    """
    safe = _BEYOND_ASCII.sub(lambda found: f"\\x{{{ord(found[0]):02X}}}", text)
    if not _UTF8_XTEXT.fullmatch(safe):
        raise ValueError("not a utf-8 address as RFC 6533 writes it")
    return safe


def utf8_address_of_octets(text: str) -> str:
    """The same of an address whose UTF-8 was written octet by octet as xtext, as Postfix does. Raises ValueError."""
    address = _octets(text).encode("latin-1").decode("utf-8")
    if not address.isprintable():
        raise ValueError("xtext of characters that are not printable")
    return _NOT_SAFE.sub(lambda found: f"\\x{{{ord(found[0]):02X}}}", address)


def utf8_address_read(text: str) -> str:
    """The address that utf-8-addr-xtext stands for; what is no code point stays as it is written."""
    return _EMBEDDED.sub(_code_point, text)


def _code_point(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    return chr(number) if number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else found[0]
