"""totp: codes are good once, guessers wait, secrets stay secret (T-2FA-01, 02, 03, 05, 08)."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyotp
import pytest

from mailward.api import Address, CommandAnswer, CommandCall, CommandFailed, Services
from mailward.model.ids import AccountId
from mailward.services.kv import SqliteKeyValue
from mailward.testing import FakeClock, FakeZone, Login, MemoryKeyValue, MemoryLog, MemoryMetrics
from mailward.testing.fakes import FakeCredentials, FakeHttp, MemorySecrets, RunDirectly, SentMail
from mailward_plugins.totp.commands import COMMANDS
from mailward_plugins.totp.enrolment import Enrolment, confirm, hashes_of, judge, new_codes, step_of
from mailward_plugins.totp.keeping import change
from mailward_plugins.totp.settings import TotpSettings

ALICE = "alice@example.org"
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
"""RFC 6238 appendix B: the ASCII text "12345678901234567890"."""
PLUGINS = ["accounts", "totp"]
ALLOWED = {"totp": {"code_after_password": True}}


def command(name: str, kv: MemoryKeyValue, clock: FakeClock, log: MemoryLog, **arguments: str) -> CommandAnswer:
    found = next(one for one in COMMANDS if one.name == name)
    services = Services(
        FakeZone(), clock, kv, log, RunDirectly(), MemorySecrets(), FakeCredentials(), SentMail(), FakeHttp(), MemoryMetrics()
    )
    call = CommandCall(AccountId(ALICE), Address("alice", "example.org"), arguments, TotpSettings(), services)
    return asyncio.run(_coroutine(found.run(call)))


async def _coroutine(awaited: object) -> CommandAnswer:
    return await awaited  # type: ignore[misc, no-any-return]


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def secret(login: Login, clock: FakeClock, log: MemoryLog) -> str:
    """Alice has enrolled and confirmed, a minute ago."""
    kv = login.services.kv["totp"]
    made = str(command("enrol", kv, clock, log).data["secret"])
    command("confirm", kv, clock, log, code=code_at(made, clock))
    clock.advance(timedelta(minutes=1))
    return made


def code_at(secret: str, clock: FakeClock, seconds: int = 0) -> str:
    return pyotp.TOTP(secret).at(clock.now() + timedelta(seconds=seconds))


def attempt(login: Login, code: str | None, **more: object) -> str:
    arguments = {"passwords": {ALICE: "secret"}, "settings": ALLOWED, **more}
    return login(ALICE, "secret", PLUGINS, code=code, **arguments).why  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("at", "digits"),
    [(59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"), (1234567890, "89005924"), (2000000000, "69279037")],
)
def test_codes_are_those_of_rfc_6238_appendix_b(at: int, digits: str) -> None:
    assert step_of(SECRET, digits[-6:], at) == at // 30


def test_a_login_needs_the_code_and_says_so_to_the_log_alone(login: Login, clock: FakeClock, secret: str) -> None:
    assert attempt(login, None) == "second factor required"
    assert attempt(login, code_at(secret, clock)) == "password and second factor"
    outcome = login("bob", "x", PLUGINS, code="123456", passwords={"bob": "x"}, settings=ALLOWED)
    assert (outcome.result, outcome.why) == ("refused", "a code behind the password, and no second factor to check it")


def test_a_second_enrolment_says_that_the_first_still_holds(login: Login, clock: FakeClock, log: MemoryLog, secret: str) -> None:
    kv = login.services.kv["totp"]
    again = command("enrol", kv, clock, log)
    assert "the secret from before stays in force" in again.text
    assert attempt(login, code_at(secret, clock)) == "password and second factor"
    assert "from before" not in command("enrol", MemoryKeyValue(), clock, log).text


@pytest.mark.parametrize("code", ["abcdef", "12345", "1234567", "\u0661" * 6, ""])
def test_what_is_no_code_is_not_blamed_on_the_clocks(clock: FakeClock, log: MemoryLog, code: str) -> None:
    kv = MemoryKeyValue()
    command("enrol", kv, clock, log)
    with pytest.raises(CommandFailed, match="six digits"):
        command("confirm", kv, clock, log, code=code)


def test_t_2fa_01_a_code_is_good_once_and_no_earlier_one_after_it(login: Login, clock: FakeClock, secret: str) -> None:
    code, earlier = code_at(secret, clock), code_at(secret, clock, -30)
    assert attempt(login, code, protocol="imap") == "password and second factor"
    assert attempt(login, code, protocol="smtp") == "second factor refused"
    assert attempt(login, earlier) == "second factor refused"
    clock.advance(timedelta(seconds=30))
    assert attempt(login, code) == "second factor refused"
    assert attempt(login, code_at(secret, clock)) == "password and second factor"


def test_t_2fa_01_the_code_that_confirmed_is_used(login: Login, clock: FakeClock, log: MemoryLog) -> None:
    kv = login.services.kv["totp"]
    secret = str(command("enrol", kv, clock, log).data["secret"])
    code = code_at(secret, clock)
    command("confirm", kv, clock, log, code=code)
    assert attempt(login, code) == "second factor refused"


RACER = """
import asyncio, sys
from pathlib import Path
from mailward.services.kv import SqliteKeyValue
from mailward_plugins.totp.enrolment import judge
from mailward_plugins.totp.keeping import change
kv = SqliteKeyValue(Path(sys.argv[1]))
asyncio.run(kv.get_many([b"warm"]))
print("ready", flush=True)
sys.stdin.readline()
tries = [(code, float(now)) for code, _, now in (word.partition("@") for word in sys.argv[2:])]
answers = [asyncio.run(change(kv, "alice", lambda known: judge(known, code, now))) for code, now in tries]
print(" ".join(answers))
"""


def race(folder: Path, codes: Callable[[int], list[str]], processes: int = 6) -> list[str]:
    """Every answer of several real processes that begin at the same moment. codes: "code@time" by the process's number."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(folder / "kv.sqlite"), *codes(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    for process in running:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [answer for process in running for answer in process.communicate(timeout=60)[0].split()]


def stored(folder: Path, enrolment: Enrolment) -> SqliteKeyValue:
    kv = SqliteKeyValue(folder / "kv.sqlite")
    asyncio.run(kv.put_many({b"account:alice": enrolment.encode()}))
    return kv


def kept(kv: SqliteKeyValue) -> Enrolment:
    return Enrolment.decode(asyncio.run(kv.get_many([b"account:alice"]))[b"account:alice"])


def test_t_2fa_01_of_several_processes_with_one_code_one_alone_succeeds(tmp_path: Path) -> None:
    kv = stored(tmp_path, Enrolment(secret=SECRET))
    steps = range(1, 41)
    answers = race(tmp_path, lambda _: [f"{pyotp.TOTP(SECRET).at(step * 30)}@{step * 30}" for step in steps])
    assert answers.count("accepted") == len(steps)
    assert kept(kv).last_step == 40
    kv.close()


def test_t_2fa_08_of_several_processes_with_one_recovery_code_one_alone_succeeds(tmp_path: Path) -> None:
    codes = new_codes()
    kv = stored(tmp_path, Enrolment(secret=SECRET, recovery=hashes_of(codes)))
    far_apart = [f"{code}@{10_000 * number}" for number, code in enumerate(codes)]
    assert race(tmp_path, lambda _: far_apart).count("accepted") == 10
    assert kept(kv).recovery == ()
    kv.close()


def test_t_2fa_02_parallel_guesses_share_one_count(tmp_path: Path) -> None:
    kv = stored(tmp_path, Enrolment(secret=SECRET))
    answers = race(tmp_path, lambda number: [f"{number}{n}0000@59" for n in range(4)])
    assert set(answers) == {"refused"}
    assert kept(kv).failures == 5
    kv.close()


def test_t_2fa_02_five_wrong_codes_and_each_further_one_double_the_wait(login: Login, clock: FakeClock, secret: str) -> None:
    wrong = next(f"{n:06}" for n in range(1000) if step_of(secret, f"{n:06}", clock.now().timestamp()) is None)
    for _ in range(5):
        assert attempt(login, wrong) == "second factor refused"
    assert attempt(login, code_at(secret, clock)) == "second factor refused"
    clock.advance(timedelta(seconds=29))
    assert attempt(login, code_at(secret, clock)) == "second factor refused"
    clock.advance(timedelta(seconds=1))
    attempt(login, wrong)
    clock.advance(timedelta(seconds=59))
    assert attempt(login, code_at(secret, clock)) == "second factor refused"
    clock.advance(timedelta(seconds=1))
    assert attempt(login, code_at(secret, clock)) == "password and second factor"


def test_t_2fa_02_the_wait_grows_to_an_hour_and_survives_a_restart(tmp_path: Path) -> None:
    enrolment, now = Enrolment(secret=SECRET), 10_000.0
    for _ in range(40):
        enrolment, answer = judge(enrolment, "999999", now)
        assert answer == "refused"
        wait_s = max(0.0, enrolment.blocked_until - now)
        now += wait_s
    assert wait_s == 3600.0
    assert enrolment.failures == 40
    kv = stored(tmp_path, enrolment)
    kv.close()
    again = SqliteKeyValue(tmp_path / "kv.sqlite")
    right = pyotp.TOTP(SECRET).at(int(now - 1))
    assert asyncio.run(change(again, "alice", lambda known: judge(known, right, now - 1))) == "refused"
    assert asyncio.run(change(again, "alice", lambda known: judge(known, right, now))) == "accepted"
    again.close()


def test_t_q_07_a_wait_that_began_while_the_clock_was_ten_years_ahead_is_over_when_it_is_set_right() -> None:
    enrolment, now, ahead_s = Enrolment(secret=SECRET), 1_000_000 * 30.0, 3653 * 86400.0
    for _ in range(10):
        enrolment, _ = judge(enrolment, "999999", now + ahead_s)
    assert enrolment.blocked_until > now + ahead_s
    assert judge(enrolment, pyotp.TOTP(SECRET).at(int(now)), now)[1] == "accepted"


@pytest.mark.parametrize(
    ("drift_s", "answer"), [(-90, "refused"), (-30, "accepted"), (0, "accepted"), (30, "accepted"), (90, "refused")]
)
def test_t_2fa_03_clocks_may_differ_by_one_step(drift_s: int, answer: str) -> None:
    code = pyotp.TOTP(SECRET).at(1_000_000 * 30 + drift_s)
    assert judge(Enrolment(secret=SECRET), code, 1_000_000 * 30)[1] == answer


def test_t_2fa_03_a_clock_that_jumps_back_opens_no_used_step() -> None:
    now = 1_000_000 * 30.0
    used, _ = judge(Enrolment(secret=SECRET), pyotp.TOTP(SECRET).at(int(now)), now)
    assert judge(used, pyotp.TOTP(SECRET).at(int(now) - 3600), now - 3600)[1] == "refused"


def test_t_2fa_05_a_code_behind_the_password_counts_only_where_it_is_allowed(login: Login, clock: FakeClock, secret: str) -> None:
    assert attempt(login, code_at(secret, clock), settings={}) == "second factor refused"
    assert attempt(login, None, settings={}) == "second factor required"
    assert attempt(login, code_at(secret, clock)) == "password and second factor"  # it was not used up


def test_t_2fa_05_a_program_that_repeats_its_code_locks_nobody_out(login: Login, clock: FakeClock, secret: str) -> None:
    code = code_at(secret, clock)
    assert attempt(login, code) == "password and second factor"
    for _ in range(20):
        assert attempt(login, code) == "second factor refused"
    clock.advance(timedelta(seconds=30))
    assert attempt(login, code_at(secret, clock)) == "password and second factor"


@pytest.mark.parametrize(
    "code",
    [
        "",
        "28708",
        "2870820",
        "٢٨٧٠٨٢",
        "\uff12\uff18\uff17\uff10\uff18\uff12",
        "28708a",
        " 287082",
        "x" * 100_000,
        "\0",
        "\ud800",
    ],
)
def test_t_2fa_05_what_is_no_code_is_wrong_and_nothing_worse(code: str) -> None:
    after, answer = judge(Enrolment(secret=SECRET), code, 59.0)
    assert (answer, after.failures) == ("refused", 1)


def test_t_2fa_08_recovery_codes_are_good_once_and_kept_as_hashes(
    login: Login, clock: FakeClock, secret: str, log: MemoryLog
) -> None:
    kv = login.services.kv["totp"]
    codes = command("recovery", kv, clock, log).data["recovery_codes"]
    assert isinstance(codes, list) and len(set(codes)) == 10
    assert not any(
        code.replace("-", "").encode() in octets or code.encode() in octets for code in codes for octets in kv.values.values()
    )
    assert attempt(login, codes[0].upper()) == "password and second factor"
    assert attempt(login, codes[0]) == "second factor refused"
    newer = command("recovery", kv, clock, log).data["recovery_codes"]
    assert attempt(login, codes[1]) == "second factor refused"
    assert isinstance(newer, list)
    assert attempt(login, newer[1]) == "password and second factor"
    assert command("status", kv, clock, log).data["recovery_codes_left"] == 9


def test_nothing_changes_before_it_is_confirmed(login: Login, clock: FakeClock, log: MemoryLog) -> None:
    kv = login.services.kv["totp"]
    first = command("enrol", kv, clock, log)
    assert attempt(login, None) == "password"
    with pytest.raises(CommandFailed, match="not the code for now"):
        command("confirm", kv, clock, log, code="000000" if code_at(str(first.data["secret"]), clock) != "000000" else "000001")
    assert attempt(login, None) == "password"
    assert command("status", kv, clock, log).data["pending"] is True


def test_the_secret_in_force_stays_until_the_new_one_is_confirmed(
    login: Login, clock: FakeClock, secret: str, log: MemoryLog
) -> None:
    kv = login.services.kv["totp"]
    newer = str(command("enrol", kv, clock, log).data["secret"])
    assert attempt(login, code_at(secret, clock)) == "password and second factor"
    clock.advance(timedelta(minutes=1))
    command("confirm", kv, clock, log, code=code_at(newer, clock))
    clock.advance(timedelta(minutes=1))
    assert attempt(login, code_at(secret, clock)) == "second factor refused"
    assert attempt(login, code_at(newer, clock)) == "password and second factor"


def test_off_forgets_everything(login: Login, clock: FakeClock, secret: str, log: MemoryLog) -> None:
    command("off", login.services.kv["totp"], clock, log)
    assert login.services.kv["totp"].values == {}
    assert attempt(login, None) == "password"
    with pytest.raises(CommandFailed, match="has no second factor"):
        command("off", login.services.kv["totp"], clock, log)
    with pytest.raises(CommandFailed, match="has no second factor"):
        command("recovery", login.services.kv["totp"], clock, log)
    with pytest.raises(CommandFailed, match="nothing waits to be confirmed"):
        command("confirm", login.services.kv["totp"], clock, log, code="123456")


def test_the_uri_is_what_authenticator_apps_read(clock: FakeClock, log: MemoryLog) -> None:
    answer = command("enrol", MemoryKeyValue(), clock, log)
    parsed = pyotp.parse_uri(str(answer.data["uri"]))
    assert (parsed.secret, parsed.name, parsed.issuer) == (answer.data["secret"], ALICE, "Mailward")
    assert str(answer.data["uri"]) in answer.text and str(answer.data["secret"]) in answer.text and "▄" in answer.text
    assert len(str(answer.data["secret"])) >= 32  # 160 bits, RFC 4226 section 4


def test_secrets_and_codes_are_never_logged(login: Login, clock: FakeClock, secret: str, log: MemoryLog) -> None:
    code = code_at(secret, clock)
    attempt(login, code)
    attempt(login, "123456")
    command("recovery", login.services.kv["totp"], clock, log)
    told = repr(log.events) + repr(login.services.log["totp"].events)
    assert "second factor refused" in told and "totp recovery renewed" in told
    assert secret not in told and code not in told and "123456" not in told
    assert secret not in repr(Enrolment(secret=secret, pending=secret))


def test_a_confirmed_code_is_bound_to_its_step() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    after, codes = confirm(Enrolment(pending=SECRET), pyotp.TOTP(SECRET).at(int(now)), now)
    assert (after.secret, after.pending, after.last_step, len(codes)) == (SECRET, "", int(now) // 30, 10)
    assert Enrolment.decode(after.encode()) == after
