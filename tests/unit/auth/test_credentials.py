"""Whose secret is it: main passwords, app passwords and SCRAM over a real directory, through real exchanges."""

import asyncio
import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from unittest.mock import Mock, patch

import pytest
import scramp
import structlog

from mailward.api.logins import LoginAttempt, Secret
from mailward.auth.authenticator import ChainAuthenticator
from mailward.auth.chain import LoginChain
from mailward.auth.credentials import KeptCredentials, set_password
from mailward.auth.exchange import Accepted, Challenge, LoginPeer, Refused, plain_response
from mailward.auth.failures import FailureLimits
from mailward.auth.passwords import hash_password
from mailward.directory import CredentialStore, Directory
from mailward.model.address import Address
from mailward.model.errors import LoginUnavailable, StorageError
from mailward.model.identity import Identity
from mailward.model.ids import AccountId
from mailward.protocol.sasl import MAX_RESPONSE_OCTETS
from support.login_bench import NAME, Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "directory.sqlite")
    yield made
    made.passwords.close()
    made.store.close()


FAILED = Refused("failed")


async def test_plain_and_scram_and_login(bench: Bench) -> None:
    assert await bench.plain("right") == Accepted(bench.alice)
    assert await bench.scram("right") == Accepted(bench.alice)
    assert await bench.plain("right", "A@Example.ORG") == await bench.scram("right", NAME.upper()) == Accepted(bench.alice)
    exchange = bench.authenticator.begin(LoginPeer("smtp", "l", "192.0.2.1", None), "LOGIN")
    assert await exchange.step(None) == Challenge(b"Username:")
    assert await exchange.step(NAME.encode()) == Challenge(b"Password:")
    assert await exchange.step(b"right") == Accepted(bench.alice)


@pytest.mark.parametrize("password", ["wrong", "Right", "right ", "x" * 1025, "r\u0131ght"])
async def test_wrong_passwords(bench: Bench, password: str) -> None:
    assert await bench.plain(password) == await bench.scram(password) == FAILED
    assert await bench.plain(password, "nobody@example.org") == await bench.scram(password, "nobody@example.org") == FAILED


async def test_a_changed_password_counts_at_the_next_login(bench: Bench) -> None:
    assert await bench.plain("right") == Accepted(bench.alice), "and is remembered now"
    set_password(bench.store, bench.account, "new")
    assert await bench.plain("right") == await bench.scram("right") == FAILED
    assert await bench.plain("new") == await bench.scram("new") == Accepted(bench.alice)


async def test_a_password_changed_in_the_middle_of_an_exchange_counts(bench: Bench) -> None:
    assert await bench.scram("right", at_final=lambda: set_password(bench.store, bench.account, "new")) == FAILED


async def test_t_2fa_06_app_passwords_in_clear_and_by_scram(bench: Bench) -> None:
    phone, laptop = bench.app_password("phone"), bench.app_password("laptop")
    for typed in (phone, phone.upper(), phone.replace("-", " "), phone.replace("-", "")):
        found = await bench.plain(typed)
        assert isinstance(found, Accepted) and found.identity.app_password == "phone"
    found = await bench.scram(laptop)
    assert found == Accepted(
        replace(bench.alice, app_password="laptop", credential=bench.store.of(bench.account).app_passwords[0].id)
    )
    assert await bench.plain("right") == await bench.scram("right") == Accepted(bench.alice)


async def test_t_2fa_06_a_revoked_app_password_is_refused_at_once(bench: Bench) -> None:
    phone = bench.app_password()
    assert isinstance(await bench.plain(phone), Accepted)
    assert await bench.scram(phone, at_final=lambda: bench.store.revoke_app_password(bench.account, "phone")) == FAILED
    assert await bench.plain(phone) == await bench.scram(phone) == FAILED


async def test_t_2fa_06_what_is_no_longer_good(bench: Bench) -> None:
    phone, laptop = bench.app_password("phone", days=1), bench.app_password("laptop")
    logins = [await bench.plain("right"), await bench.plain(phone), await bench.scram(laptop)]
    main, by_phone, by_laptop = (step.identity for step in logins if isinstance(step, Accepted))
    assert await bench.scram("right") == Accepted(main), "the mechanism makes no difference"
    everybody = (main, by_phone, by_laptop, Identity(AccountId("elsewhere"), "x@example.net"))
    assert await bench.authenticator.revoked(everybody) == frozenset()
    bench.clock.advance(timedelta(days=1))
    assert await bench.authenticator.revoked(everybody) == {by_phone}, "it has expired"
    bench.store.revoke_app_password(bench.account, "laptop")
    bench.app_password("laptop")
    assert await bench.authenticator.revoked(everybody) == {by_phone, by_laptop}, "another of its name is another"
    set_password(bench.store, bench.account, "right")
    assert await bench.authenticator.revoked(everybody) == {main, by_phone, by_laptop}, "set again, so it is a new one"
    assert await bench.authenticator.revoked([replace(main, account=AccountId("gone"))])


async def test_t_2fa_06_nobody_is_called_revoked_while_nobody_can_tell(bench: Bench) -> None:
    with patch.object(bench.store, "good_ids", side_effect=StorageError("disk")), pytest.raises(LoginUnavailable):
        await bench.authenticator.revoked([bench.alice])


async def test_t_2fa_06_scopes_hold_on_every_mechanism(bench: Bench) -> None:
    phone = bench.app_password(scopes=("imap",))
    for protocol in ("smtp", "pop3"):
        assert await bench.plain(phone, protocol=protocol) == await bench.scram(phone, protocol=protocol) == FAILED
    assert isinstance(await bench.plain(phone), Accepted) and isinstance(await bench.scram(phone), Accepted)


async def test_t_2fa_06_an_app_password_ends(bench: Bench) -> None:
    phone = bench.app_password(days=90)
    bench.clock.advance(timedelta(days=89))
    assert isinstance(await bench.plain(phone), Accepted)
    bench.clock.advance(timedelta(days=1))
    assert await bench.plain(phone) == await bench.scram(phone) == FAILED


async def test_t_2fa_06_of_an_app_password_only_hashes_are_kept(bench: Bench, tmp_path: Path) -> None:
    phone = bench.app_password()
    bench.store.close()
    octets = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert phone.encode() not in octets and phone.replace("-", "").encode() not in octets
    bench.store = CredentialStore(tmp_path / "directory.sqlite")


async def test_when_an_app_password_was_used_is_noted_now_and_then(bench: Bench) -> None:
    phone = bench.app_password()
    start = bench.clock.now()
    for minutes in (0, 1, 11):
        bench.clock.set(start + timedelta(minutes=minutes))
        await bench.plain(phone)
        noted = bench.store.of(bench.account).app_passwords[0].last_used_at
        assert noted == (start if minutes < 10 else bench.clock.now())


async def test_a_full_disk_keeps_nobody_out(bench: Bench) -> None:
    phone = bench.app_password()
    with patch.object(bench.store, "app_password_used", side_effect=StorageError("disk full")):
        assert isinstance(await bench.plain(phone), Accepted)


async def test_a_directory_that_cannot_be_read_refuses_nobody(bench: Bench) -> None:
    with patch.object(bench.store, "find", side_effect=StorageError("I/O error")):
        assert await bench.plain("right") == Refused("unavailable")
        assert await bench.authenticator.begin(LoginPeer("imap", "l", "::1", None), "SCRAM-SHA-256").step(
            b"n,,n=alice@example.org,r=x"
        ) == Refused("unavailable")


async def test_a_flood_is_told_to_come_back(bench: Bench) -> None:
    bench.passwords._strangers._max_waiting = 0
    assert await bench.plain("right") == Refused("unavailable")
    assert await bench.scram("right") == Accepted(bench.alice), "hashes nothing slow"


async def test_an_account_of_the_release_before_gets_its_scram_keys_at_a_login_in_clear(bench: Bench) -> None:
    bench.store.set_password(bench.account, hash_password("old"), None)
    assert await bench.scram("old") == FAILED
    assert await bench.plain("wrong") == FAILED and bench.store.of(bench.account).scram_keys is None
    assert await bench.plain("old") == Accepted(bench.alice)
    assert await bench.scram("old") == Accepted(bench.alice)


async def test_t_auth_03_salts_do_not_tell_who_exists(bench: Bench) -> None:
    assert await bench.salt("nobody@example.org") == await bench.salt("NOBODY@example.org")
    assert await bench.salt("nobody@example.org") != await bench.salt("nobody2@example.org")
    assert await bench.salt(NAME) == await bench.salt("ALICE@example.org")
    assert await bench.salt(NAME) != await bench.salt("a@example.org"), "an alias does not tell whose it is"
    known, unknown = await bench.salt(NAME), await bench.salt("nobody@example.org")
    assert len(known) == len(unknown) and known[-8:] == unknown[-8:] == b",i=64000"
    again = KeptCredentials(bench.store, bench.passwords, bench.clock)
    assert (await again.salt_of("nobody@example.org"))[0] == base64.b64decode(unknown[2:-8]), "after a restart too"


async def test_t_auth_11_the_log_says_why_an_app_password_is_refused_and_the_peer_is_not_told(bench: Bench) -> None:
    for password, why in (
        (bench.app_password("scanner", scopes=("smtp",)), "app password scanner is not for imap"),
        (bench.app_password("old phone", days=-1), "app password old phone has expired"),
        ("aaaaa-aaaaa-aaaaa-aaaaa-aaaaa-a", "wrong name or password"),
        ("mistyped", "wrong name or password"),
    ):
        with structlog.testing.capture_logs() as lines:
            assert await bench.plain(password) == FAILED
        assert [line["why"] for line in lines] == [why]
        assert password not in str(lines)


async def test_t_auth_04_every_refusal_hashes_as_often(bench: Bench) -> None:
    """Hashing takes the time; how often it is done is what could tell."""
    phone = bench.app_password(scopes=("smtp",))
    work, counts = bench.passwords._work, {}

    def counted(password_hash: str | None, password: str) -> bool:
        calls.append(password)
        return work(password_hash, password)

    with patch.object(bench.passwords, "_work", counted):
        for kind, name, password in (
            ("wrong", NAME, "wrong"),
            ("unknown", "nobody@example.org", "wrong"),
            ("out of scope", NAME, phone),
            ("like an app password", "nobody@example.org", phone),
        ):
            calls: list[str] = []
            assert await bench.plain(password, name) == FAILED
            counts[kind] = len(calls)
        bench.store.set_password(bench.account, "{PLAIN}right", None)
        calls = []
        assert await bench.plain("right") == FAILED
        counts["damaged"] = len(calls)
    assert set(counts.values()) == {1} and len(counts) == 5


async def test_t_auth_04_a_right_password_that_is_refused_is_not_quicker_the_second_time(bench: Bench) -> None:
    async def required(*_: object) -> str:
        return "required"

    work, calls = bench.passwords._work, []

    def counted(password_hash: str | None, password: str) -> bool:
        calls.append(password)
        return work(password_hash, password)

    with patch.object(bench.hooks, "second_factor", required), patch.object(bench.passwords, "_work", counted):
        for _ in range(3):
            assert await bench.plain("right") == FAILED
    assert calls == ["right"] * 3


@pytest.mark.parametrize("stored", ["", "right", "{PLAIN}right", "$argon2id$", "$2b$12$abc", "\0"])
async def test_t_auth_07_a_damaged_hash_lets_nobody_in(bench: Bench, stored: str) -> None:
    bench.store.set_password(bench.account, stored, None)
    for password in ("right", stored or " ", " "):
        assert not isinstance(await bench.plain(password), Accepted)


async def test_t_auth_07_an_account_without_password_lets_nobody_in(tmp_path: Path) -> None:
    one = Bench(tmp_path / "d.sqlite")
    directory = Directory(tmp_path / "d.sqlite")
    directory.add_account(Address("bob", "example.org"))
    for password in ("right", "None", " "):
        assert await one.plain(password, "bob@example.org") == await one.scram(password, "bob@example.org") == FAILED
    assert await one.plain("", "bob@example.org") == Refused("malformed")


async def test_t_auth_10_what_is_remembered_is_one_accounts(bench: Bench, tmp_path: Path) -> None:
    directory = Directory(tmp_path / "directory.sqlite")
    bob = directory.add_account(Address("bob", "example.org"))
    set_password(bench.store, bob, "right")
    set_password(bench.store, bench.account, "other")
    assert await bench.plain("right", "bob@example.org") == Accepted(bench.by_main_password(bob, "bob@example.org"))
    assert await bench.plain("right") == FAILED
    assert await bench.plain("other", "bob@example.org") == FAILED


async def test_t_auth_12_what_is_kept_of_a_password(bench: Bench, tmp_path: Path) -> None:
    kept = bench.store.of(bench.account)
    assert (kept.password_hash or "").startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert 64_000 <= kept.scram_iterations <= 65_536  # more is refused by clients with Cyrus SASL
    other = Bench(tmp_path / "other.sqlite")
    assert other.store.of(other.account).scram_salt != kept.scram_salt
    assert other.store.of(other.account).scram_keys != kept.scram_keys


async def test_scram_failures_count_like_all_others(bench: Bench) -> None:
    chain = LoginChain(lambda: bench.hooks, bench.hooks.told, bench.kept, limits=FailureLimits(free=1), sleep=bench._sleep)
    bench.authenticator = ChainAuthenticator(chain, bench.kept)
    assert await bench.scram("wrong") == await bench.plain("wrong") == FAILED
    bench.slept.clear()
    assert await bench.scram("wrong") == FAILED
    assert bench.slept[0] > 0.1


# --- the exchange itself ---


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
async def test_t_auth_06_an_exchange_that_is_over_stays_over(bench: Bench, mechanism: str) -> None:
    exchange = bench.authenticator.begin(LoginPeer("imap", "l", "::1", None), mechanism)
    assert await exchange.step(b"\xff") == Refused("malformed")
    assert await exchange.step(plain_response(NAME.encode(), b"right")) == Refused("malformed")
    assert await exchange.step(None) == Refused("malformed")


async def test_t_auth_06_responses_have_a_limit_and_mechanisms_a_name(bench: Bench) -> None:
    peer = LoginPeer("imap", "l", "::1", None)
    big = plain_response(NAME.encode(), b"x" * MAX_RESPONSE_OCTETS)
    assert await bench.authenticator.begin(peer, "PLAIN").step(big) == Refused("malformed")
    assert await bench.authenticator.begin(peer, "CRAM-MD5").step(b"") == Refused("malformed")
    assert bench.authenticator.mechanisms == ("SCRAM-SHA-256", "PLAIN", "LOGIN")


async def test_t_auth_06_something_behind_the_servers_proof_is_refused(bench: Bench) -> None:
    client = scramp.ScramClient(["SCRAM-SHA-256"], NAME, "right")
    exchange = bench.authenticator.begin(LoginPeer("imap", "l", "::1", None), "SCRAM-SHA-256")
    first = await exchange.step(client.get_client_first().encode())
    assert isinstance(first, Challenge)
    client.set_server_first(first.octets.decode())
    assert isinstance(await exchange.step(client.get_client_final().encode()), Challenge)
    assert await exchange.step(b"x") == Refused("malformed")


async def test_identities_by_plugins_that_know_no_scram_keys_are_no_scram_login(bench: Bench) -> None:
    async def anybody(*_: object) -> Identity:
        return Identity(AccountId("acc"), "x@example.org")

    with patch.object(bench.hooks, "identify", anybody):
        assert await bench.scram("anything") == FAILED


async def test_many_logins_at_once(bench: Bench) -> None:
    phone = bench.app_password()
    found = await asyncio.gather(*(bench.scram(phone) for _ in range(50)), *(bench.plain(phone) for _ in range(50)))
    assert all(isinstance(one, Accepted) for one in found)


async def test_the_secret_of_another_mechanism_is_nobodys(bench: Bench) -> None:
    attempt = LoginAttempt("imap", "l", "::1", None, "EXTERNAL", NAME)
    certificate = Mock(is_of=lambda keys: False)
    assert await bench.kept.check(attempt, Secret(None, certificate)) is None
    assert await bench.kept.check(attempt, Secret()) is None
