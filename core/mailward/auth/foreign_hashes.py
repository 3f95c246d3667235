"""Password hashes that another server made: of crypt(3) and Argon2, as Dovecot keeps them with a scheme before them.

They are good until their account logs in for the first time, when one of ours is made of what was typed.
"""

import ctypes
import functools
import hmac
import re

_SCHEME = re.compile(r"\{(?P<scheme>[A-Za-z0-9-]+)\}(?P<hash>.*)", re.DOTALL)
_PREFIXES = {
    "ARGON2ID": ("$argon2id$",),
    "ARGON2I": ("$argon2i$",),
    "BLF-CRYPT": ("$2a$", "$2b$", "$2y$"),
    "SHA512-CRYPT": ("$6$",),
    "SHA256-CRYPT": ("$5$",),
    "MD5-CRYPT": ("$1$",),
    "CRYPT": ("$2a$", "$2b$", "$2y$", "$6$", "$5$", "$1$", "$y$"),
}
"""Schemes that are taken, and how their hashes begin."""

_SALT = "[./A-Za-z0-9]"
_CRYPT = re.compile(
    rf"\$1\${_SALT}{{1,8}}\${_SALT}{{22}}"
    rf"|\$2[aby]\$(?:0[4-9]|1[0-4])\${_SALT}{{53}}"
    rf"|\$5\$(?:rounds=[1-9][0-9]{{3,5}}\$)?{_SALT}{{1,16}}\${_SALT}{{43}}"
    rf"|\$6\$(?:rounds=[1-9][0-9]{{3,5}}\$)?{_SALT}{{1,16}}\${_SALT}{{86}}"
    rf"|\$y\$j[5-9A-B]T\${_SALT}{{1,86}}\${_SALT}{{43}}"
)
"""Whole ones, of no more work than a login may cost (T-AUTH-07, T-DOS-08)."""
_ARGON2 = re.compile(
    r"\$argon2id?\$v=19\$m=(?P<memory>[1-9][0-9]{0,5}),t=(?P<time>[1-9][0-9]?),p=[1-8]\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}"
)
_PARAMETERS = re.compile(r"\$argon2id?\$v=19\$[^$]*|\$2[aby]\$\d\d|\$[56]\$rounds=\d+|\$y\$[^$]*|\$\d")
_MAX_MEMORY_KIB = 128 * 1024
_MAX_TIME = 10
_LIBRARIES = ("libcrypt.so.1", "libcrypt.so.2")
_DATA_OCTETS = 256 * 1024
"""More than struct crypt_data of any C library: 32 KiB in libxcrypt, 128 KiB in glibc before it."""


def bare_hash(text: str) -> str:
    """The hash of a passwd-file's field, without its scheme, as it is kept. Raises ValueError, which says why it is not taken."""
    found = _SCHEME.fullmatch(text)
    hash_ = text if found is None else found["hash"]
    scheme = "" if found is None else found["scheme"].upper()
    if found is not None and scheme not in _PREFIXES:
        raise ValueError(f"hashes of the scheme {scheme} are not taken; taken are {', '.join(_PREFIXES)}")
    if not hash_.startswith(_PREFIXES.get(scheme, ("$",))):
        raise ValueError(f"it is no hash of the scheme {scheme}" if scheme else "it is no hash that names its scheme")
    if not (is_crypt(hash_) or _is_argon2(hash_)):
        raise ValueError("the hash is not whole, or takes more work than a login may")
    if is_crypt(hash_) and (_crypt(b"", hash_) or "*").startswith("*"):
        raise ValueError(f"the C library of this machine knows no hashes that begin with {hash_[:3]}")
    return hash_


def is_crypt(hash_: str) -> bool:
    return _CRYPT.fullmatch(hash_) is not None


def parameters_of(hash_: str) -> str:
    """What its work hangs on: the scheme, and how much of it; "" for no hash."""
    found = _PARAMETERS.match(hash_)
    return "" if found is None else found[0]


def is_of_crypt(hash_: str, password: str) -> bool:
    """Whether the password is that of a hash of crypt(3). Blocking; without a doubt, or False."""
    octets = password.encode("utf-8", "surrogatepass")
    if not is_crypt(hash_) or b"\0" in octets:  # where C would take the password to end
        return False
    made = _crypt(octets, hash_)
    return made is not None and made.startswith("$") and hmac.compare_digest(made.encode(), hash_.encode())


def _is_argon2(hash_: str) -> bool:
    found = _ARGON2.fullmatch(hash_)
    return found is not None and int(found["memory"]) <= _MAX_MEMORY_KIB and int(found["time"]) <= _MAX_TIME


def _crypt(password: bytes, setting: str) -> str | None:
    """None where the C library has no crypt(3), or does not know the setting."""
    crypt_r = _crypt_r()
    if crypt_r is None:
        return None
    made = crypt_r(password, setting.encode(), ctypes.create_string_buffer(_DATA_OCTETS))
    return None if made is None else bytes(made).decode("ascii", "replace")


@functools.cache
def _crypt_r() -> "ctypes._NamedFuncPointer | None":
    for name in _LIBRARIES:
        try:
            function = ctypes.CDLL(name).crypt_r
        except (OSError, AttributeError):
            continue
        function.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p]
        function.restype = ctypes.c_char_p
        return function
    return None
