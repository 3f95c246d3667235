"""Every hook that does not judge a message, with a plugin that does everything wrong (T-PLUG-03): nobody gets in by a failure,
nothing leaves less protected or unsigned, commands and records of the others stay."""

import asyncio
import time

import pytest

from mailward.api import FolderChoice, Identity, LoginAttempt, LoginOutcome, MailHost, Relaying, Secret, Services, TlsLevel
from mailward.model.errors import HooksUnavailable
from mailward.model.ids import AccountId, QueueId
from mailward.model.tls import protection_of
from mailward.pipeline.collecting import Collecting
from mailward.pipeline.enabling import chain_of
from mailward.pipeline.events import Events
from mailward.pipeline.folders import Chosen, Folders
from mailward.pipeline.logins import Logins
from mailward.pipeline.relays import Relays
from mailward.policy import Direction, Policy
from mailward.testing import (
    FakeClock,
    FakeCredentials,
    FakeHttp,
    FakeZone,
    Login,
    MemoryKeyValue,
    MemoryLog,
    MemoryMetrics,
    MemorySecrets,
    make_delivery,
)
from mailward.testing.fakes import RunDirectly, SentMail
from mailward.testing.policies import made_policy
from support.plugin_modules import plugin_module

pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")

ATTEMPT = LoginAttempt("imap", "test", "192.0.2.1", None, "PLAIN", "bob")
BOB = Identity(AccountId("bob"), "bob@example.org")
HOST = MailHost("mx.far.test", 25)
RELAYING = Relaying(QueueId("a" * 16), "example.net", "submission", "bob@example.org", "bob@example.org", ("eve@example.net",))
MAIL = b"From: bob@example.org\r\n\r\ntext\r\n"
QUICK = {"timeout": "100ms"}

FAULTS = {
    "raises": ("", "raise KeyError('lost')", "KeyError: 'lost' (line"),
    "raises on the loop": ("async ", "raise KeyError('lost')", "KeyError: 'lost' (line"),
    "exits": ("", "sys.exit(3)", "SystemExit: 3"),
    "exits on the loop": ("async ", "sys.exit(3)", "SystemExit: 3"),
    "interrupts": ("async ", "raise KeyboardInterrupt", "KeyboardInterrupt"),
    "hangs": ("async ", "await asyncio.Event().wait()", "took longer than its limit"),
    "waits in a thread": ("", "threading.Event().wait(0.5)", "took longer than its limit"),
    "cancels itself": ("async ", "raise asyncio.CancelledError", "it cancelled itself"),
    "returns a number": ("async ", "return 17", "returned a value of type int"),
    "returns a word": ("", "return 'rubbish'", "returned a value of type str"),
    "returns a generator that raises": ("", "return (1 / 0 for _ in 'x')", ""),
    "returns 10 MB": ("", "return b'x' * 10_000_000", "returned a value of type bytes"),
    "returns a coroutine from a def": ("", "async def late(): pass\n    return late()", "write async def"),
}


def hook(name: str, argument: str, body: str, way: str = "") -> str:
    return f"@hookimpl\n{way}def {name}({argument}):\n    {body}\n"


def services(_: str) -> Services:
    return Services(
        FakeZone(),
        FakeClock(),
        MemoryKeyValue(),
        MemoryLog(),
        RunDirectly(),
        MemorySecrets(),
        FakeCredentials(),
        SentMail(),
        FakeHttp(),
        MemoryMetrics(),
    )


def logins(bodies: dict[str, str], keys: dict[str, object] | None = None) -> Logins:
    plugins = [plugin_module(name, body) for name, body in bodies.items()]
    policy, host = made_policy("access", plugins, {"bad": {**QUICK, **(keys or {})}}, {})
    return Logins(policy, host, services)


def events(bodies: dict[str, str]) -> Events:
    made = logins(bodies)
    return Events(lambda: made.chain)


def relays(bodies: dict[str, str], keys: dict[str, object] | None = None) -> Relays:
    plugins = [plugin_module(name, body) for name, body in bodies.items()]
    policy, host = made_policy("outbound", plugins, {"bad": {**QUICK, **(keys or {})}}, {})
    return Relays(policy, host, services)


def folders(bodies: dict[str, str], keys: dict[str, object] | None = None) -> Folders:
    plugins = [plugin_module(name, body) for name, body in bodies.items()]
    policy, host = made_policy("inbound", plugins, {"bad": {**QUICK, **(keys or {})}}, {})
    return Folders(chain_of(policy, host, services))


def collecting(direction: Direction, bodies: dict[str, str]) -> Collecting:
    plugins = [plugin_module(name, body) for name, body in bodies.items()]
    policy, host = made_policy(direction, plugins, {"bad": QUICK}, {})
    return Collecting({direction: policy}, host, services)


@pytest.mark.parametrize("fault", FAULTS)
def test_t_plug_03_inspect_auth_that_fails_counts_as_its_on_error(login: Login, fault: str) -> None:
    way, body, _ = FAULTS[fault]
    bad = plugin_module("bad", hook("inspect_auth", "attempt", body, way))

    def result(on_error: str) -> str:
        settings = {"bad": {**QUICK, "on_error": on_error}}
        return login("bob", "x", ["accounts", bad], passwords={"bob": "x"}, settings=settings).result

    assert result("tempfail") == "unavailable"
    assert result("reject") == "refused"
    assert result("accept") == "accepted"


@pytest.mark.parametrize("fault", FAULTS)
async def test_t_plug_03_provide_identity_that_fails_lets_nobody_in(fault: str) -> None:
    way, body, reason = FAULTS[fault]
    bodies = {"bad": hook("provide_identity", "attempt", body, way), "good": hook("provide_identity", "", f"return {_BOB}")}
    with pytest.raises(HooksUnavailable, match="provide_identity of bad failed") as error:
        await logins(bodies).identify(ATTEMPT, Secret("x"))
    assert reason in str(error.value)
    assert await logins(bodies, {"on_error": "accept"}).identify(ATTEMPT, Secret("x")) == BOB


_BOB = "Identity('bob', 'bob@example.org')"


@pytest.mark.parametrize("fault", FAULTS)
async def test_t_plug_03_provide_second_factor_that_fails_is_no_second_factor(fault: str) -> None:
    way, body, reason = FAULTS[fault]
    bodies = {"bad": hook("provide_second_factor", "code", body, way)}
    with pytest.raises(HooksUnavailable) as error:
        await logins(bodies).second_factor(BOB, ATTEMPT, "123456")
    assert reason in str(error.value)


@pytest.mark.parametrize(
    "answer",
    [
        "'yes'",
        "True",
        "'ACCEPTED'",
        "('accepted',)",
        "type('S', (str,), {'__eq__': lambda s, o: True, '__hash__': str.__hash__})('no')",
    ],
)
async def test_t_plug_03_only_the_three_words_are_an_answer_of_a_second_factor(answer: str) -> None:
    bodies = {"bad": hook("provide_second_factor", "code", f"return {answer}")}
    with pytest.raises(HooksUnavailable):
        await logins(bodies).second_factor(BOB, ATTEMPT, "123456")


@pytest.mark.parametrize(
    "answer",
    [
        "Identity('', 'bob@example.org')", "Identity(7, 'bob@example.org')", "Identity('bob', None)", "Identity('a\\nb', 'b')",
        "Identity('bob', 'b', groups=['staff'])", "Identity('bob', 'b', groups=(1,))", "Identity('bob', 'b', second_factor='yes')",
        "Identity('bob', 'b', app_password=None)", "Identity('bob', 'b', credential=None)", "True", "'bob'",
    ],
)  # fmt: skip
async def test_t_plug_03_an_identity_of_wrong_types_is_none(answer: str) -> None:
    with pytest.raises(HooksUnavailable):
        await logins({"bad": hook("provide_identity", "attempt", f"return {answer}")}).identify(ATTEMPT, Secret("x"))


async def test_the_first_identity_wins_in_the_order_of_the_policy() -> None:
    body = "return Identity({0!r}, {0!r})"
    plugins = [plugin_module(name, hook("provide_identity", "attempt", body.format(name))) for name in ("aaa", "bbb")]
    plugins.append(plugin_module("nobody", hook("provide_identity", "attempt", "return None")))
    policy, host = made_policy("access", plugins, {"aaa": {"order": 2}, "bbb": {"order": 1}}, {})
    found = await Logins(policy, host, services).identify(ATTEMPT, Secret("x"))
    assert found is not None and found.account == "bbb"


@pytest.mark.parametrize("fault", FAULTS)
async def test_t_plug_03_on_auth_that_fails_holds_nobody_up(fault: str) -> None:
    way, body, _ = FAULTS[fault]
    told = events({"bad": hook("on_auth", "outcome", body, way)})
    started = time.monotonic()
    told.login_ended(ATTEMPT, LoginOutcome("refused", None, "wrong"))
    assert time.monotonic() - started < 5
    await told.stop()


@pytest.mark.parametrize("fault", FAULTS)
async def test_t_plug_03_collect_tls_requirement_that_fails_keeps_the_mail(fault: str) -> None:
    way, body, reason = FAULTS[fault]
    good = hook("collect_tls_requirement", "", "return TlsRequirement(TlsLevel.REQUIRED, 'good')")
    bodies = {"bad": hook("collect_tls_requirement", "relaying", body, way), "good": good}
    with pytest.raises(HooksUnavailable) as error:
        await relays(bodies).tls_requirements(RELAYING, HOST)
    assert reason in str(error.value)
    (one,) = await relays(bodies, {"on_error": "accept"}).tls_requirements(RELAYING, HOST)
    assert one.level is TlsLevel.REQUIRED


@pytest.mark.parametrize(
    "answer",
    [
        "TlsRequirement('verified', 'x')", "TlsRequirement(TlsLevel.REQUIRED, None)", "TlsLevel.VERIFIED",
        "TlsRequirement(TlsLevel.VERIFIED, 'x', policy='sts')", "TlsRequirement(TlsLevel.VERIFIED, 'x', tlsa=('3 1 1',))",
        "TlsRequirement(TlsLevel.VERIFIED, 'x', names=(b'mx',))", "TlsRequirement(TlsLevel.VERIFIED, 'x', problem='sts')",
        "[TlsRequirement(TlsLevel.VERIFIED, 'x')] * 100",
    ],
)  # fmt: skip
async def test_t_plug_03_a_requirement_of_wrong_types_is_none(answer: str) -> None:
    with pytest.raises(HooksUnavailable):
        await relays({"bad": hook("collect_tls_requirement", "relaying", f"return {answer}")}).tls_requirements(RELAYING, HOST)


async def test_the_strictest_requirement_wins_and_its_reason_is_cleaned() -> None:
    body = "return TlsRequirement(TlsLevel.{}, 'because\\r\\nof {}')"
    bodies = {
        name: hook("collect_tls_requirement", "relaying", body.format(level, name))
        for name, level in (("aaa", "REQUIRED"), ("bbb", "VERIFIED"), ("ccc", "OPPORTUNISTIC"))
    }
    wanted = protection_of(await relays(bodies).tls_requirements(RELAYING, HOST)).floor
    assert (wanted.level, wanted.why) == (TlsLevel.VERIFIED, "because  of bbb")


@pytest.mark.parametrize("fault", FAULTS)
async def test_t_plug_03_edit_relay_that_fails_sends_nothing_unsigned(fault: str) -> None:
    way, body, reason = FAULTS[fault]
    with pytest.raises(HooksUnavailable) as error:
        await relays({"bad": hook("edit_relay", "message", body, way)}).edits(RELAYING, MAIL)
    assert reason in str(error.value)


async def test_each_plugin_that_edits_sees_the_changes_of_those_before() -> None:
    body = "return AddHeader('X-Seen', str(message.size_octets) + ' ' + relaying.user)"
    plugins = [plugin_module(name, hook("edit_relay", "relaying, message", body)) for name in ("aaa", "bbb")]
    policy, host = made_policy("outbound", plugins, {"aaa": {"order": 2}}, {})
    edited = await Relays(policy, host, services).edits(RELAYING, MAIL)
    first = b"X-Seen: %d bob@example.org\r\n" % len(MAIL)
    assert edited == b"X-Seen: %d bob@example.org\r\n" % (len(MAIL) + len(first)) + first + MAIL


async def test_a_message_that_nobody_edits_leaves_as_it_is() -> None:
    assert await relays({"idle": hook("edit_relay", "message", "return None")}).edits(RELAYING, MAIL) == MAIL


@pytest.mark.parametrize("fault", FAULTS)
async def test_t_plug_03_provide_folder_that_fails_keeps_the_mail(fault: str) -> None:
    way, body, reason = FAULTS[fault]
    good = hook("provide_folder", "", "return FolderChoice('Lists', 'of a list')")
    bodies = {"bad": hook("provide_folder", "delivery, message", body, way), "good": good}
    with pytest.raises(HooksUnavailable, match="provide_folder of bad failed") as error:
        await folders(bodies).choose(make_delivery(), MAIL)
    assert reason in str(error.value)
    chosen = await folders(bodies, {"on_error": "accept"}).choose(make_delivery(), MAIL)
    assert chosen == Chosen("good", FolderChoice("Lists", "of a list"))


@pytest.mark.parametrize(
    "answer",
    [
        "FolderChoice('', 'x')", "FolderChoice(None, 'x')", "FolderChoice('a\\r\\nb', 'x', make_up_to=9)", "FolderChoice('x' * 10_000_000, 'x')",
        "FolderChoice('a\u200cb', 'x', make_up_to=9)", "FolderChoice('a\u202eb', 'x', make_up_to=9)",
        "FolderChoice('Lists', None)", "FolderChoice('Lists', 'x', make_up_to=True)", "FolderChoice('Lists', 'x', make_up_to=-1)",
        "FolderChoice('Lists', 'x', make_up_to=10**9)", "FolderChoice('Lists', 'x', make_up_to='all')", "('Lists', 'x')", "True",
        "[FolderChoice('Lists', 'x')]",
    ],
)  # fmt: skip
async def test_t_plug_07_a_folder_of_wrong_types_is_none(answer: str) -> None:
    with pytest.raises(HooksUnavailable):
        await folders({"bad": hook("provide_folder", "delivery", f"return {answer}")}).choose(make_delivery(), MAIL)


async def test_t_plug_07_the_reason_for_a_folder_is_one_short_line() -> None:
    body = "return FolderChoice('Lists', 'because\\r\\nof ' + 'x' * 10_000)"
    chosen = await folders({"bad": hook("provide_folder", "delivery", body)}).choose(make_delivery(), MAIL)
    assert chosen is not None and chosen.choice.why.startswith("because  of x") and len(chosen.choice.why) == 300


INVISIBLE = "a\u200cb"


@pytest.mark.parametrize("up_to", [0, 9])
async def test_a_folder_that_the_account_has_may_have_invisible_characters(up_to: int) -> None:
    bodies = {"bad": hook("provide_folder", "", f"return FolderChoice({INVISIBLE!r}, {INVISIBLE!r}, make_up_to={up_to})")}
    chosen = await folders(bodies).choose(make_delivery("bob@example.org", ["Lists", INVISIBLE]), MAIL)
    assert chosen == Chosen("bad", FolderChoice(INVISIBLE, "a b", make_up_to=up_to))


@pytest.mark.parametrize("name", [INVISIBLE, "a\r\nb", "a\ud800b"])
async def test_t_plug_07_a_name_that_acts_and_is_no_folders_is_inbox_and_is_shown_clean(name: str) -> None:
    bodies = {"bad": hook("provide_folder", "", f"return FolderChoice({name!r}, 'x')")}
    chosen = await folders(bodies).choose(make_delivery("bob@example.org", ["a b", "a  b"]), MAIL)
    shown = "".join(c if c in "ab" else " " for c in name)
    assert chosen == Chosen("bad", FolderChoice("INBOX", f"there is no folder {shown}: x"))


async def test_the_first_folder_wins_in_the_order_of_the_policy_and_none_is_no_answer() -> None:
    body = "return FolderChoice(str(message.subject), {0!r})"
    plugins = [plugin_module(name, hook("provide_folder", "message", body.format(name))) for name in ("aaa", "bbb")]
    plugins.append(plugin_module("nobody", hook("provide_folder", "", "return None")))
    policy, host = made_policy("inbound", plugins, {"aaa": {"order": 2}, "bbb": {"order": 1}}, {})
    chosen = await Folders(chain_of(policy, host, services)).choose(make_delivery(), b"Subject: Lunch\r\n" + MAIL)
    assert chosen == Chosen("bbb", FolderChoice("Lunch", "bbb"))
    idle = folders({"nobody": hook("provide_folder", "", "return None")})
    assert idle.asks_anybody and await idle.choose(make_delivery(), MAIL) is None
    assert not folders({"other": hook("inspect_message", "message", "return None")}).asks_anybody


async def test_a_plugin_in_shadow_chooses_no_folder() -> None:
    bodies = {"bad": hook("provide_folder", "", "return FolderChoice('Lists', 'x')")}
    assert not folders(bodies, {"mode": "shadow"}).asks_anybody


COMMAND = """
async def run(call):
    return CommandAnswer(call.arguments.get("word", "") + str(call.address))

"""
GOOD_COMMANDS = COMMAND + hook("collect_commands", "", "return [AccountCommand('hello', 'Say hello.', run, {'word': 'A word.'})]")


@pytest.mark.parametrize("fault", FAULTS)
async def test_t_plug_03_collect_commands_that_fails_takes_no_others_away(fault: str) -> None:
    way, body, reason = FAULTS[fault]
    found = await collecting("access", {"bad": hook("collect_commands", "", body, way), "good": GOOD_COMMANDS}).commands()
    bad, good = found
    assert (bad.plugin, bad.values) == ("bad", ()) and reason in bad.problem
    assert [command.name for command in good.values] == ["hello"]


@pytest.mark.parametrize(
    "answer",
    [
        "AccountCommand('Hello', 'x', run)", "AccountCommand('a b', 'x', run)", "AccountCommand('--help', 'x', run)",
        "AccountCommand('hello', '', run)", "AccountCommand('hello', 'x', print)", "AccountCommand('hello', 'x', run, {'config': 'x'})",
        "AccountCommand('hello', 'x', run, {'a-b': 'x'})", "AccountCommand('hello', 'x', run, {'a': 7})",
        "AccountCommand('hello', 'x', run, 'word')", "[AccountCommand('hello', 'x', run)] * 2",
        "ServerCommand('queue', 'hello', 'x', run)", "ServerCommand('tls', 'hello', 'x', run, {'a': 'text'})",
        "ServerCommand(7, 'hello', 'x', run)", "ServerCommand('tls', 'hello', 'x', run, {'json': CommandOption(7, 'domain')})",
        "ServerCommand('tls', 'hello', 'x', run, {'config': CommandOption('x', 'domain')})",
    ],
)  # fmt: skip
async def test_t_plug_03_a_command_that_cannot_be_offered_is_told(answer: str) -> None:
    (bad,) = await collecting("access", {"bad": COMMAND + hook("collect_commands", "", f"return {answer}")}).commands()
    assert bad.values == () and bad.problem


@pytest.mark.parametrize("fault", FAULTS)
async def test_t_plug_03_collect_dns_records_that_fails_takes_no_others_away(fault: str) -> None:
    way, body, reason = FAULTS[fault]
    good = hook("collect_dns_records", "domain", "return DnsRecord('a.' + domain + '.', 'TXT', 'v', 'Why.')")
    found = await collecting("outbound", {"bad": hook("collect_dns_records", "domain", body, way), "good": good}).dns_records(
        "b.example"
    )
    bad, kept = found
    assert (bad.values, [record.name for record in kept.values]) == ((), ["a.b.example."])
    assert reason in bad.problem


@pytest.mark.parametrize(
    "answer", ["DnsRecord('a.b.example', 'TXT', 'v', 'w')", "DnsRecord('a.', 'TXT', 'v\\n', 'w')", "DnsRecord(1, 2, 3, 4)"]
)
async def test_t_plug_03_a_record_that_cannot_be_printed_is_told(answer: str) -> None:
    (bad,) = await collecting("outbound", {"bad": hook("collect_dns_records", "domain", f"return {answer}")}).dns_records(
        "b.example"
    )
    assert bad.values == () and bad.problem


async def test_a_plugin_of_several_policies_is_asked_once_with_the_settings_of_the_first_in_order() -> None:
    head = (
        "import sys\nfrom dataclasses import dataclass\nfrom mailward.api import *\n\n@dataclass(frozen=True)\nclass Own(Settings):\n"
        "    word: str = ''\n\nplugin = Plugin(api=1, summary='x', settings=Own)\n"
    )
    body = hook("collect_dns_records", "domain, settings", "return DnsRecord(settings.word + '.', 'TXT', 'v', 'Why.')")
    module = plugin_module("both", body, head=head)
    policies: dict[Direction, Policy] = {}
    directions: tuple[Direction, ...] = ("inbound", "outbound")
    for direction in directions:
        policy, host = made_policy(direction, [module], {"both": {"word": direction}}, {})
        policies[direction] = policy
    (found,) = await Collecting(policies, host, services).dns_records("b.example")
    assert [record.name for record in found.values] == ["outbound."]


async def test_a_flood_of_logins_is_told_within_bounds() -> None:
    told = events({"slow": hook("on_auth", "outcome", "await asyncio.sleep(0)", "async ")})
    for _ in range(1500):
        told.login_ended(ATTEMPT, LoginOutcome("refused", None, "wrong"))
    assert len(asyncio.all_tasks()) < 1100
    await told.stop()
