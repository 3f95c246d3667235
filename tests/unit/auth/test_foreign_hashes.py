"""Hashes of other servers: those that the C library and Dovecot make open the account, and nothing that only looks like one does."""

import asyncio
import subprocess
from pathlib import Path
from unittest.mock import patch

import pytest

from mailward.auth.credentials import set_password
from mailward.auth.foreign_hashes import bare_hash, is_crypt, is_of_crypt
from mailward.auth.passwords import MAX_PASSWORD_OCTETS, is_foreign, verify
from mailward.model.ids import AccountId
from support.login_bench import Bench
from support.processes import program

SCHEMES = ("ARGON2ID", "ARGON2I", "BLF-CRYPT", "SHA512-CRYPT", "SHA256-CRYPT", "MD5-CRYPT", "CRYPT")
PASSWORD = "grüße: {SSHA}$6$ "
DREPPER = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
"""The first example of Drepper's "Unix crypt using SHA-256 and SHA-512"."""


def by_doveadm(scheme: str, password: str = PASSWORD) -> str:
    command = [program("doveadm", "dovecot-core"), "-c", "/dev/null", "pw", "-s", scheme, "-p", password]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_hash_that_dovecot_made_is_of_its_password_and_of_no_other(scheme: str) -> None:
    hash_ = bare_hash(by_doveadm(scheme))
    assert verify(hash_, PASSWORD) and is_foreign(hash_)
    assert not any(verify(hash_, other) for other in ("", PASSWORD[:-1], f"{PASSWORD}x", f"{PASSWORD}\0", "x" * 2000, "\udcff"))


def test_the_example_of_its_specification() -> None:
    assert is_of_crypt(DREPPER, "Hello world!") and not is_of_crypt(DREPPER, "Hello world")


@pytest.mark.parametrize(
    "text",
    [
        "", "right", "{PLAIN}right", "{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "{SHA512-CRYPT}", "{SHA512-CRYPT}$5$salt$x", "*0", "*1", "!",
        "$6$salt$", "$6$salt$short", "$2y$31$" + "a" * 53, "$6$rounds=999999999$salt$" + "a" * 86, "$1$$" + "a" * 22, "$9$x$y",
        "$6$rounds=10000$salt$" + "a" * 85 + "\n", "$argon2id$v=19$m=9999999,t=3,p=1$" + "a" * 22 + "$" + "a" * 43,
        "$argon2id$v=19$m=65536,t=99,p=1$" + "a" * 22 + "$" + "a" * 43, "{ARGON2ID}$argon2d$v=19$m=8,t=1,p=1$aaaaaaaaaaa$" + "a" * 22,
    ],
)  # fmt: skip
def test_t_auth_07_what_is_no_whole_hash_or_takes_too_much_work_is_not_taken(text: str) -> None:
    with pytest.raises(ValueError, match="hash"):
        bare_hash(text)
    assert not is_crypt(text) and not is_of_crypt(text, "right") and not is_of_crypt(text, text)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "directory.sqlite")


@pytest.mark.parametrize("scheme", ["SHA512-CRYPT", "ARGON2ID"])
async def test_the_first_login_makes_the_hash_ours_and_from_then_on_there_is_scram(bench: Bench, scheme: str) -> None:
    bench.store.set_password(bench.account, bare_hash(by_doveadm(scheme, "of old")), None)
    assert not accepted(await bench.scram("of old")) and not accepted(await bench.plain("right"))
    assert is_foreign(bench.store.of(bench.account).password_hash or ""), "a wrong password makes nothing"
    steps = await asyncio.gather(*(bench.plain("of old") for _ in range(3)))
    kept = bench.store.of(bench.account).password_hash or ""
    assert not is_foreign(kept) and verify(kept, "of old")
    for step in steps:
        assert accepted(step) and not await bench.kept.revoked([step.identity]), "what the login opened is open still"  # type: ignore[union-attr]
    assert accepted(await bench.scram("of old"))


async def test_a_password_that_was_changed_meanwhile_stays_changed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.store.set_password(bench.account, bare_hash(by_doveadm("SHA256-CRYPT", "of old")), None)
    replace_hash = bench.store.replace_hash

    def changed_before(account: AccountId, *others: object) -> None:
        set_password(bench.store, account, "new")
        replace_hash(account, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.store, "replace_hash", changed_before)
    assert not accepted(await bench.plain("of old"))
    assert accepted(await bench.plain("new"))


async def test_t_auth_04_a_hash_from_elsewhere_is_not_quicker_to_refuse_than_nobody_s(bench: Bench) -> None:
    hash_ = bare_hash(by_doveadm("MD5-CRYPT"))
    for what in (hash_, None):
        with patch("mailward.auth.passwords.verify") as work:
            assert not await bench.passwords.check(what, "wrong")
        work.assert_called_once()


def test_a_password_that_is_too_long_for_a_hash_of_ours_is_none_of_theirs() -> None:
    assert not verify(DREPPER, "x" * (MAX_PASSWORD_OCTETS + 1))


def accepted(step: object) -> bool:
    return type(step).__name__ == "Accepted"
