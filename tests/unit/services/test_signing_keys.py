"""Key files: what is made, how keys change, what a crash on the way leaves."""

import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mailward.disk import Disk
from mailward.services.signing_keys import SigningKeyError, SigningKeys

DOMAIN = "example.org"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "secrets/dkim"


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_t_dkim_06_a_pair_of_strong_keys_is_made_for_the_owner_alone(folder: Path) -> None:
    selectors = SigningKeys(folder).ensure(DOMAIN)
    assert [re.sub("20[0-9]{4}", "YYYYMM", selector) for selector in selectors] == ["eYYYYMM", "rYYYYMM"]
    ed25519_key, rsa_key = (
        load_pem_private_key((folder / DOMAIN / f"{selector}.pem").read_bytes(), None) for selector in selectors
    )
    assert isinstance(ed25519_key, ed25519.Ed25519PrivateKey)
    assert isinstance(rsa_key, rsa.RSAPrivateKey)
    assert rsa_key.key_size == 2048 and rsa_key.public_key().public_numbers().e == 65537
    for path in (folder, *folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_keys_that_are_there_stay(folder: Path) -> None:
    keys = SigningKeys(folder)
    first = keys.ensure(DOMAIN)
    before = {name: (folder / name).read_bytes() for name in files(folder)}
    assert keys.ensure(DOMAIN) == first
    assert {name: (folder / name).read_bytes() for name in files(folder)} == before


def test_a_key_of_the_admins_own_is_enough(folder: Path) -> None:
    (folder / DOMAIN).mkdir(parents=True)
    (folder / DOMAIN / "mail.pem").write_bytes(b"")
    assert SigningKeys(folder).ensure(DOMAIN) == ("mail",)


def test_a_change_of_keys_in_three_steps(folder: Path) -> None:
    clock = [datetime(2026, 11, 20, tzinfo=UTC)]
    keys = SigningKeys(folder, now=lambda: clock[0])
    first = keys.ensure(DOMAIN)
    second = keys.rotate(DOMAIN)
    assert not set(first) & set(second)
    assert keys.rotate(DOMAIN) == second, "asked twice, the same keys wait"
    assert (keys.selectors(DOMAIN), keys.waiting(DOMAIN)) == (first, second)
    assert keys.activate(DOMAIN) == second
    assert (keys.selectors(DOMAIN), keys.waiting(DOMAIN)) == (second, ())
    assert files(folder) == sorted(
        [*(f"{DOMAIN}/{s}.pem" for s in second), *(f"{DOMAIN}/old/{s}.pem" for s in first), f"{DOMAIN}/old/since"]
    )
    assert not set(keys.rotate(DOMAIN)) & {*first, *second}, "a selector never stands for two keys"
    assert keys.retires_at(DOMAIN) == datetime(2026, 11, 27, tzinfo=UTC)
    clock[0] += timedelta(days=6)
    with pytest.raises(SigningKeyError, match="too soon: until 2026-11-27 00:00 UTC"):
        keys.retire(DOMAIN)
    assert keys.former(DOMAIN) == first
    clock[0] += timedelta(days=1)
    assert keys.retire(DOMAIN) == first
    assert keys.retire(DOMAIN) == ()
    assert keys.selectors(DOMAIN) == second


def test_t_dkim_06_a_withdrawn_selector_is_never_given_to_another_key(folder: Path) -> None:
    """Others may have its record for a while, and believe what the stolen key signs."""
    keys = SigningKeys(folder, now=lambda: datetime(2026, 11, 20, tzinfo=UTC))
    given: list[str] = list(keys.ensure(DOMAIN))
    for _ in range(3):
        made = keys.rotate(DOMAIN)
        assert not set(made) & set(given)
        given += made
        keys.activate(DOMAIN)
        keys.retire(DOMAIN, early=True)


def test_nothing_is_put_away_while_no_key_waits(folder: Path) -> None:
    keys = SigningKeys(folder)
    first = keys.ensure(DOMAIN)
    with pytest.raises(SigningKeyError, match="domain key rotate"):
        keys.activate(DOMAIN)
    assert keys.selectors(DOMAIN) == first


class StoppingDisk(Disk):
    """Stops for good at the n-th call that changes something."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def _count(self) -> None:
        if self.left == 0:
            raise OSError("stopped")
        self.left -= 1

    def create_exclusive(self, path: Path) -> int:
        self._count()
        return super().create_exclusive(path)

    def write(self, fd: int, buffers: object) -> None:
        self._count()
        super().write(fd, buffers)  # type: ignore[arg-type]

    def sync(self, fd: int) -> None:
        self._count()
        super().sync(fd)

    def rename(self, old: Path, new: Path) -> None:
        self._count()
        super().rename(old, new)


@pytest.mark.parametrize("calls", range(8))
def test_a_crash_while_keys_are_made_leaves_no_half_key(folder: Path, calls: int) -> None:
    with pytest.raises(OSError, match="stopped"):
        SigningKeys(folder, StoppingDisk(calls)).ensure(DOMAIN)
    for selector in SigningKeys(folder).ensure(DOMAIN):
        assert load_pem_private_key((folder / DOMAIN / f"{selector}.pem").read_bytes(), None)


@pytest.mark.parametrize("calls", range(8))
def test_a_crash_while_keys_change_leaves_keys_that_sign(folder: Path, calls: int) -> None:
    keys = SigningKeys(folder)
    everything = {*keys.ensure(DOMAIN), *keys.rotate(DOMAIN)}
    with pytest.raises(OSError, match="stopped"):
        SigningKeys(folder, StoppingDisk(calls)).activate(DOMAIN)
    assert keys.selectors(DOMAIN)
    assert sum(name.endswith(".pem") for name in files(folder)) == len(everything), "no key is lost"
