"""What is kept of one account's second factor, and what a code means for it (RFC 6238). Pure.

A time step is accepted once and none before it afterwards, so a code that was overheard is worth nothing (T-2FA-01). Whoever
guesses waits longer after each wrong code, whatever connection he comes by (T-2FA-02).
"""

import hmac
import json
import secrets
from base64 import b32encode
from dataclasses import asdict, dataclass, replace
from hashlib import sha256

import pyotp
from pyotp.exceptions import OTPVerificationError

from mailward.api import FactorAnswer

WINDOW_STEPS = 1
"""Steps of 30 s by which the clocks may differ, either way (RFC 6238 section 5.2)."""

FREE_FAILURES = 5
FIRST_BLOCK_S = 30.0
LONGEST_BLOCK_S = 3600.0

RECOVERY_CODES = 10
_RECOVERY_OCTETS = 10
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Enrolment:
    """secret: in force, "" for none. pending: shown and not yet confirmed. last_step: the last time step that was accepted.

    failures: wrong codes since the last right one. blocked_until: seconds since 1970. recovery: hashes of the codes left.
    """

    secret: str = ""
    pending: str = ""
    last_step: int = -1
    failures: int = 0
    blocked_until: float = 0.0
    recovery: tuple[str, ...] = ()

    @property
    def is_active(self) -> bool:
        return bool(self.secret)

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, octets: bytes | None) -> "Enrolment":
        """None: of an account that has nothing."""
        if octets is None:
            return cls()
        members = json.loads(octets)
        return cls(**{**members, "recovery": tuple(members["recovery"])})

    def __repr__(self) -> str:
        return f"Enrolment(active={self.is_active}, recovery={len(self.recovery)})"


def judge(enrolment: Enrolment, code: str, now: float) -> tuple[Enrolment, FactorAnswer]:
    """What a code means, and what is to be kept afterwards. now: seconds since 1970."""
    if 0 < enrolment.blocked_until - now <= LONGEST_BLOCK_S:  # more only where the clock was wrong when it began
        return enrolment, "refused"
    step = step_of(enrolment.secret, code, now)
    if step is not None and step <= enrolment.last_step:
        return enrolment, "refused"  # not a guess, so nobody is made to wait for a program that repeats itself
    if step is not None:
        return replace(enrolment, last_step=step, failures=0, blocked_until=0.0), "accepted"
    used = _matching(enrolment.recovery, code)
    if used is not None:
        left = tuple(kept for kept in enrolment.recovery if kept != used)
        return replace(enrolment, recovery=left, failures=0, blocked_until=0.0), "accepted"
    failures = enrolment.failures + 1
    over = failures - FREE_FAILURES
    block_s = min(FIRST_BLOCK_S * 2.0 ** min(over, 30), LONGEST_BLOCK_S) if over >= 0 else 0.0
    return replace(enrolment, failures=failures, blocked_until=now + block_s if block_s else 0.0), "refused"


def confirm(enrolment: Enrolment, code: str, now: float) -> tuple[Enrolment, tuple[str, ...]]:
    """The pending secret in force, with new recovery codes; () when the code is not of it."""
    step = step_of(enrolment.pending, code, now) if enrolment.pending else None
    if step is None:
        return enrolment, ()
    codes = new_codes()
    return Enrolment(secret=enrolment.pending, last_step=step, recovery=hashes_of(codes)), codes


def step_of(secret: str, code: str, now: float) -> int | None:
    """The time step whose code this is, None when it is none near now."""
    if not is_code(code):
        return None
    try:
        return pyotp.TOTP(secret).verify_and_get_timecode(code, for_time=now, valid_window=WINDOW_STEPS)
    except OTPVerificationError:
        return None


def is_code(text: str) -> bool:
    """Can an app have shown this?"""
    return len(text) == _DIGITS and text.isascii() and text.isdigit()


def new_codes() -> tuple[str, ...]:
    """Fresh recovery codes of 80 random bits, in groups of four letters and digits."""
    made = (b32encode(secrets.token_bytes(_RECOVERY_OCTETS)).decode().lower() for _ in range(RECOVERY_CODES))
    return tuple("-".join(text[i : i + 4] for i in range(0, len(text), 4)) for text in made)


def hashes_of(codes: tuple[str, ...]) -> tuple[str, ...]:
    """How codes are kept. They are too long to be guessed, so a plain hash is enough."""
    return tuple(_hashed(code) for code in codes)


def _matching(hashes: tuple[str, ...], code: str) -> str | None:
    wanted = _hashed(code)
    found = [kept for kept in hashes if hmac.compare_digest(kept, wanted)]
    return found[0] if found else None


def _hashed(code: str) -> str:
    plain = code.replace("-", "").replace(" ", "").lower()
    return sha256(plain.encode("utf-8", "replace")).hexdigest()
