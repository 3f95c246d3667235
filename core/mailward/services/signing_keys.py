"""The key files that a domain's mail is signed with: made, put to use, put away. The plugin `dkim` reads them.

    secrets/dkim/<domain>/<selector>.pem         signs
    secrets/dkim/<domain>/next/<selector>.pem    waits until its DNS record is published
    secrets/dkim/<domain>/old/<selector>.pem     signed before; its record stays for mail on its way
    secrets/dkim/<domain>/old/since              when the last of these was replaced, ISO 8601
    secrets/dkim/<domain>/old/retired            selectors of deleted keys, a line each: none of them is given again

Where a file lies says what it does, so a change of keys is a rename, holds at once, and needs no restart. What goes into DNS is
the plugin's business (`collect_dns_records`).
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mailward.disk import Disk
from mailward.model.errors import MailwardError

RSA_BITS = 2048
"""RFC 8301 section 3.2; a record of more bits no longer fits what many DNS panels take."""

KEPT_FOR = timedelta(days=7)
"""So long the records of former keys are needed: others try mail on its way for five days or so (RFC 5321 section 4.5.4.1)."""

_SUFFIX = ".pem"
_SINCE = "since"
_RETIRED = "retired"


class SigningKeyError(MailwardError):
    """What was asked cannot be done with the keys there are; the text says why."""


class SigningKeys:
    """The keys of all domains. folder: `secrets/dkim` beside mailward.yaml."""

    def __init__(self, folder: Path, disk: Disk | None = None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._folder = folder
        self._disk = disk or Disk()
        self._now = now

    def selectors(self, domain: str) -> tuple[str, ...]:
        """Those that sign, sorted."""
        return self._in(self._folder / domain)

    def waiting(self, domain: str) -> tuple[str, ...]:
        """Those that wait to sign, sorted."""
        return self._in(self._folder / domain / "next")

    def former(self, domain: str) -> tuple[str, ...]:
        """Those that signed before, sorted."""
        return self._in(self._folder / domain / "old")

    def retires_at(self, domain: str) -> datetime | None:
        """From when on the former ones are needed no longer; None when there are none, or when that is not known."""
        if not self.former(domain):
            return None
        try:
            since = self._disk.read_whole(self._folder / domain / "old" / _SINCE)
            return datetime.fromisoformat(since.decode("ascii")) + KEPT_FOR
        except (FileNotFoundError, ValueError):
            return None

    def ensure(self, domain: str) -> tuple[str, ...]:
        """The selectors that sign; a pair is made for a domain that has none."""
        return self.selectors(domain) or self._make_pair(domain, self._folder / domain)

    def rotate(self, domain: str) -> tuple[str, ...]:
        """The selectors that wait; a pair is made when none does."""
        return self.waiting(domain) or self._make_pair(domain, self._folder / domain / "next")

    def activate(self, domain: str) -> tuple[str, ...]:
        """Let the waiting keys sign, and those that signed before no longer. Raises SigningKeyError when none waits.

        In between both sign, which is sound; never none.
        """
        own = self._folder / domain
        before, new = self.selectors(domain), self.waiting(domain)
        if not new:
            raise SigningKeyError(f"no key of {domain} waits; make new ones first: mailward domain key rotate {domain}")
        self._move(new, own / "next", own)
        self._disk.mkdir(own / "old")
        self._disk.write_whole(own / "old" / _SINCE, [self._now().isoformat().encode("ascii")])
        self._move(before, own, own / "old")
        return new

    def retire(self, domain: str, *, early: bool = False) -> tuple[str, ...]:
        """Delete the keys that signed before; their selectors. Raises SigningKeyError when it is too soon, unless `early`."""
        at = self.retires_at(domain)
        if at is not None and self._now() < at and not early:
            raise SigningKeyError(
                f"too soon: until {at:%Y-%m-%d %H:%M} UTC others may check mail on its way with the former keys"
            )
        folder = self._folder / domain / "old"
        found = self._in(folder)
        if found:
            lines = [f"{selector}\n" for selector in (*self._retired(domain), *found)]
            self._disk.write_whole(folder / _RETIRED, ["".join(lines).encode("ascii")])
        for selector in found:
            self._disk.unlink(folder / f"{selector}{_SUFFIX}")
        if found:
            self._disk.sync_folder(folder)
        return found

    def _retired(self, domain: str) -> tuple[str, ...]:
        try:
            return tuple(self._disk.read_whole(self._folder / domain / "old" / _RETIRED).decode("ascii").split())
        except FileNotFoundError:
            return ()

    def _in(self, folder: Path) -> tuple[str, ...]:
        try:
            names = self._disk.listdir(folder)
        except FileNotFoundError:
            return ()
        return tuple(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))

    def _move(self, selectors: tuple[str, ...], source: Path, target: Path) -> None:
        self._disk.mkdir(target)
        for selector in selectors:
            self._disk.rename(source / f"{selector}{_SUFFIX}", target / f"{selector}{_SUFFIX}")
        self._disk.sync_folder(target)
        self._disk.sync_folder(source)

    def _make_pair(self, domain: str, folder: Path) -> tuple[str, ...]:
        month = self._unused_month(domain)
        self._disk.mkdir(folder)
        pair: dict[str, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey] = {
            f"r{month}": rsa.generate_private_key(65537, RSA_BITS),
            f"e{month}": ed25519.Ed25519PrivateKey.generate(),
        }
        for selector, key in pair.items():
            # Whole or not at all: half a key would hold up the domain's mail.
            octets = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            self._disk.write_whole(folder / f"{selector}{_SUFFIX}", [octets])
        return tuple(sorted(pair))

    def _unused_month(self, domain: str) -> str:
        """202611, or 202611-2 and so on: a selector never stands for two keys, or cached records would be wrong, and what a
        stolen key signs would be believed as long as its record is found anywhere.
        """
        own = self._folder / domain
        used = {*self._in(own), *self._in(own / "next"), *self._in(own / "old"), *self._retired(domain)}
        month = f"{self._now():%Y%m}"
        names = (month if number == 1 else f"{month}-{number}" for number in count(1))
        return next(name for name in names if not used & {f"r{name}", f"e{name}"})
