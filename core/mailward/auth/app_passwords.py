"""App passwords: 128 random bits in groups that people can copy; case, spaces and hyphens do not matter when they are typed.

The bits are as many as those of a key, so a plain SHA-256 keeps them: nobody tries 2^128 of them.
"""

import base64
import hashlib
import secrets

_OCTETS = 16
_LENGTH = 26
_GROUP = 5
_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyz234567")


def make_app_password() -> str:
    """A new one, for example "ab2cd-efgh3-...": base32 (RFC 4648) in lower case."""
    text = base64.b32encode(secrets.token_bytes(_OCTETS)).decode("ascii").rstrip("=").lower()
    return "-".join(text[start : start + _GROUP] for start in range(0, _LENGTH, _GROUP))


def normalised(typed: str) -> str | None:
    """The one text that a typed app password stands for; None for what cannot be one."""
    text = typed.replace("-", "").replace(" ", "").lower()
    return text if len(text) == _LENGTH and _ALPHABET.issuperset(text) else None


def digest(normal: str) -> bytes:
    """What is kept of it."""
    return hashlib.sha256(normal.encode("ascii")).digest()
