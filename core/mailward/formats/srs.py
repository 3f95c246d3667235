"""Sender Rewriting Scheme: a reverse-path of ours for mail that we forward, from which reports find back to the sender.

SPF asks whether the server that hands in a message may send for the domain of its reverse-path; who forwards mail of others may
not, so it puts an address of its own there. As in the paper of Meng Weng Wong and libsrs2, so that keys and addresses are good
with postsrsd and Exim: `SRS0=hash=day=domain=local-part`, and `SRS1=hash=domain=what-SRS0-held` for what somebody had rewritten
already, which leads straight back to him. The hash is all that keeps us from being a relay for whoever writes such an address.

It is made of its parts without anything between them, so it is as good for the same letters parted elsewhere: who sends as
`mbob@x.co` gets an address that leads to `bob@x.com`, too. A better hash would be one that postsrsd cannot read; so reports are
all that such an address lets through, for three weeks and never to a user of ours (`intake.relaying`).
"""

import base64
import hmac
import re
from collections.abc import Callable, Sequence

from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError
from mailward.model.address import Address, quote_local_part

HASH_CHARACTERS = 4
"""As libsrs2 has it. To guess one takes a million attempts, and earns three weeks of reports to one address."""
VALID_DAYS = 21
AHEAD_DAYS = 1
"""May the clock of who rewrote it first be ahead of ours."""
_DAYS = 1024
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

_SRS0 = re.compile(r"SRS0[-+=](?P<hash>[^=]+)=(?P<day>[A-Z2-7]{2})=(?P<domain>[^=]+)=(?P<local>.+)", re.IGNORECASE | re.DOTALL)
_SRS1 = re.compile(r"SRS1[-+=](?P<hash>[^=]+)=(?P<domain>[^=]+)=(?P<rest>[-+=].+)", re.IGNORECASE | re.DOTALL)
_ANY_SRS0 = re.compile(r"SRS0(?P<rest>[-+=].+)", re.IGNORECASE | re.DOTALL)


class Srs:
    """keys: the first makes addresses, all are good for reading them. day: days since 1970."""

    def __init__(self, keys: Sequence[bytes], day: Callable[[], int]) -> None:
        self._keys = tuple(keys)
        self._day = day

    def forwarded(self, sender: Address, domain: str) -> Address | None:
        """What stands in the place of the sender, in a domain of ours; None when that would be no address."""
        local_part = sender.local_part
        if again := _SRS1.fullmatch(local_part):
            made = self._second(again["domain"], again["rest"])
        elif first := _ANY_SRS0.fullmatch(local_part):
            made = self._second(sender.domain, first["rest"])
        else:
            day = self._day() % _DAYS
            stamp = _BASE32[day >> 5] + _BASE32[day & 31]
            made = f"SRS0={self._hash(self._keys[0], stamp, sender.domain, local_part)}={stamp}={sender.domain}={local_part}"
        return _address(made, domain)

    def original(self, address: Address) -> Address | None:
        """Where a report to one of our rewritten addresses goes; None when we never made it, or too long ago."""
        if found := _SRS0.fullmatch(address.local_part):
            day, domain, local_part = found["day"], found["domain"], found["local"]
            if not self._is_ours(found["hash"], day, domain, local_part) or not self._is_recent(day):
                return None
            return _address(local_part, domain)
        if found := _SRS1.fullmatch(address.local_part):
            if not self._is_ours(found["hash"], found["domain"], found["rest"]):
                return None
            first = _SRS0.fullmatch(f"SRS0{found['rest']}")
            if first is not None and not self._is_recent(first["day"], AHEAD_DAYS):  # SRS1 has no day of its own
                return None
            return _address(f"SRS0{found['rest']}", found["domain"])
        return None

    def _second(self, domain: str, rest: str) -> str:
        return f"SRS1={self._hash(self._keys[0], domain, rest)}={domain}={rest}"

    def _is_recent(self, stamp: str, ahead: int = 0) -> bool:
        high, low = (_BASE32.index(character) for character in stamp.upper())
        return (self._day() - (high << 5 | low) + ahead) % _DAYS <= VALID_DAYS + ahead

    def _is_ours(self, given: str, *parts: str) -> bool:
        """Servers on the way may change the case of a local-part, so it says nothing."""
        made = [self._hash(key, *parts).lower().encode() for key in self._keys]
        return any([hmac.compare_digest(one, given.lower().encode()) for one in made])

    @staticmethod
    def _hash(key: bytes, *parts: str) -> str:
        digest = hmac.digest(key, "".join(parts).lower().encode(), "sha1")
        return base64.b64encode(digest)[:HASH_CHARACTERS].decode("ascii")


def is_rewritten(address: Address) -> bool:
    """Does it look like an address that somebody rewrote?"""
    return any(form.fullmatch(address.local_part) for form in (_SRS0, _SRS1))


def _address(local_part: str, domain: str) -> Address | None:
    try:
        return parse_mailbox(f"{quote_local_part(local_part)}@{domain}")
    except AddressSyntaxError:
        return None
