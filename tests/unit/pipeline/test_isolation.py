"""A plugin in a process of its own: it works as anywhere else, reaches nothing it has not declared, and leaves nothing behind."""

import asyncio
import errno
import gc
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from textwrap import dedent
from typing import TypeVar

import pytest

from mailward.api import (
    AccountCommand,
    Address,
    CommandCall,
    CommandFailed,
    DnsAnswer,
    HttpAnswer,
    HttpFailed,
    LoginAttempt,
    Secret,
)
from mailward.model.ids import AccountId
from mailward.pipeline.chain import Chain
from mailward.pipeline.isolation import connection, processor
from mailward.pipeline.isolation.answering import bounded
from mailward.pipeline.isolation.pace import Pace
from mailward.pipeline.isolation.wire import frame
from mailward.testing import CallHook, Scan
from mailward.testing.calling import made_chain, ordinary_arguments
from mailward.testing.making import make_envelope, make_login
from mailward.testing.world import FakeServices
from support.plugin_modules import HEAD, plugin_file
from support.processes import ends_within

T = TypeVar("T")

OWN = {"isolation": "process"}
MAIL = "From: a@example.net\nSubject: hello\n\ntext\n"


def found(folder: Path, body: str, services: FakeServices | None = None, head: str = HEAD) -> str:
    """The text of the finding that this body of `inspect_message` comes to, in its own process."""
    text = f"@hookimpl\nasync def inspect_message(session, envelope, message, evidence, settings, services):\n{body}\n"
    module = plugin_file(folder, "own", text, head=head)
    (finding,) = CallHook(services)(module, "inspect_message", settings=OWN)
    return str(finding.text)


def tried(folder: Path, statement: str, *capabilities: str) -> str:
    """What comes of a statement in the process of a plugin that has declared just these."""
    head = f"from mailward.api import *\nplugin = Plugin(api=1, summary='x', capabilities={('body', *capabilities)!r})\n"
    body = (
        "    import asyncio, ctypes, os, signal, socket, subprocess\n"
        f"    try:\n        {statement}\n        said = 'done'\n"
        "    except BaseException as error:\n        said = type(error).__name__\n"
        "    return Finding(None, said)"
    )
    return found(folder, body, head=head)


def test_arguments_and_answer_are_what_they_are_in_the_server(tmp_path: Path) -> None:
    body = (
        "    assert (session.peer_ip, session.helo) == ('192.0.2.1', 'mail.example.net'), session\n"
        "    assert str(envelope.reverse_path) == 'sender@example.net', envelope\n"
        "    assert [str(path) for path in envelope.forward_paths] == ['recipient@example.org']\n"
        "    assert services.clock.now().isoformat().startswith('2026-01-01T12:00:0')\n"
        "    assert type(settings) is Settings\n"
        "    return Finding('SEEN', message.subject, strength=0.5, auth=(AuthResult('x-own', 'pass'),))"
    )
    assert found(tmp_path, body) == "Lunch"


def test_facts_of_other_plugins_are_seen(tmp_path: Path, scan: Scan) -> None:
    other = plugin_file(
        tmp_path, "other", "@hookimpl\ndef inspect_mail():\n    return Finding(None, 'x', facts=OwnFacts(word='w'))\n"
    )
    own = plugin_file(
        tmp_path,
        "own",
        "@hookimpl\ndef inspect_message(evidence):\n"
        "    return Finding('SEEN', evidence.value('other', 'word') + str(evidence.values('other', 'names')))\n",
    )
    assert scan(MAIL, plugins=[other, own], settings={"own": OWN}).findings["SEEN"].text == "w()"


def test_every_service_answers(tmp_path: Path) -> None:
    services = FakeServices()
    services.zone.add("example.net", "TXT", "v=spf1 -all")
    services.zone.fail("broken.example", "TXT")
    services.http.pages["https://example.net/"] = HttpAnswer(200, "text/plain", b"page")
    services.http.pages["https://bad.example/"] = HttpFailed("another name", is_certificate=True)
    services.secrets["own"].files["key"] = b"\x00secret"
    body = dedent("""
        said = [(await services.resolver.resolve("example.net", "TXT")).records]
        try:
            await services.resolver.resolve("broken.example", "TXT")
        except DnsTemporaryError:
            said.append("later")
        said.append((await services.http.get("https://example.net/", limit_octets=9, limit_s=1)).octets)
        try:
            await services.http.get("https://bad.example/", limit_octets=9, limit_s=1)
        except HttpFailed as error:
            said.append((str(error), error.is_certificate))
        said += [services.secrets.names(), services.secrets.read("key")]
        try:
            services.secrets.read("none")
        except FileNotFoundError:
            said.append("missing")
        await services.kv.put_many({b"a": b"1"})
        said += [await services.kv.get_many([b"a", b"b"]), await services.kv.change(b"a", b"2", None)]
        await services.kv.add_many({b"n": (1, 2)})
        said += [await services.kv.counters([b"n"]), await services.kv.find(b"", limit=5)]
        said.append(await services.submit("bob@example.org", b"mail", key="k"))
        said.append(await services.run_blocking(lambda: 7))
        services.log.warning("told", number=3)
        return Finding(None, repr(said))
    """)
    text = found(tmp_path, "".join(f"    {line}\n" for line in body.splitlines()), services)
    assert text == repr(
        [
            ("v=spf1 -all",), "later", b"page", ("another name", True), ("key",), b"\x00secret", "missing",
            {b"a": b"1"}, False, {b"n": (1, 2)}, {b"a": b"1"}, True, 7,
        ]
    )  # fmt: skip
    assert services.log["own"].events == [("warning", "told", {"number": 3})]


def test_t_plug_10_the_proof_of_a_login_stays_in_the_server_and_is_nobody_elses(tmp_path: Path) -> None:
    class Proof:
        def is_of(self, _: object) -> bool:
            return True

    checked: dict[str, Secret] = {}
    both = asyncio.Barrier(2)

    class Credentials:
        async def check(self, attempt: LoginAttempt, secret: Secret) -> None:
            checked[attempt.name] = secret
            await both.wait()  # so that both logins are under way

    services = FakeServices()
    services.credentials = Credentials()  # type: ignore[assignment]
    text = (
        "@hookimpl\nasync def provide_identity(attempt, secret, services):\n"
        "    return await services.credentials.check(attempt, secret)\n"
    )
    proofs = {"bob": Proof(), "eve": Proof()}

    async def both_log_in() -> None:
        chain = made_chain([plugin_file(tmp_path, "own", text)], services, "provide_identity", {"own": OWN})
        (one,) = chain.enforced("provide_identity")
        asks = [{"attempt": make_login(name), "secret": Secret(None, proof)} for name, proof in proofs.items()]
        deadline = time.monotonic() + 60
        called = await asyncio.gather(
            *(chain.ask(one, "provide_identity", each, lambda answer: answer, deadline) for each in asks)
        )
        assert [each.call.error for each in called] == [None, None]
        chain.close()

    asyncio.run(both_log_in())
    assert {name: secret.proof for name, secret in checked.items()} == proofs


def test_a_command_runs_in_the_process_that_brought_it(tmp_path: Path) -> None:
    text = (
        "import os\nasync def hello(call):\n    if call.arguments['word'] == 'no':\n        raise CommandFailed('not today')\n"
        "    return CommandAnswer(f'{call.arguments[\"word\"]} {call.address}', {'pid': os.getpid()})\n"
        "@hookimpl\ndef collect_commands():\n    return AccountCommand('hello', 'Say hello.', hello, {'word': 'A word.'})\n"
    )

    async def told(chain: Chain) -> None:
        command = await collected(chain)
        one = chain.enforced("collect_commands")[0]

        def call(word: str) -> CommandCall:
            return CommandCall(AccountId("a"), Address("bob", "example.org"), {"word": word}, one.settings, one.services)

        answer = await command.run(call("hi"))
        assert answer.text == "hi bob@example.org"
        assert answer.data["pid"] != os.getpid()
        with pytest.raises(CommandFailed, match="not today"):
            await command.run(call("no"))

    with_chain(tmp_path, text, "collect_commands", told)


def test_a_command_is_never_run_by_another_process_than_brought_it(tmp_path: Path) -> None:
    text = (
        "import os\nasync def die(call):\n    os._exit(9)\n"
        "@hookimpl\ndef collect_commands():\n    return AccountCommand('die', 'End it.', die)\n"
    )

    async def told(chain: Chain) -> None:
        one = chain.enforced("collect_commands")[0]
        call = CommandCall(AccountId("a"), Address("bob", "example.org"), {}, one.settings, one.services)
        command = await collected(chain)
        with pytest.raises(CommandFailed, match=r"its process ended \(exit code 9\)"):
            await command.run(call)
        await collected(chain)
        with pytest.raises(CommandFailed, match="its process has just ended"):
            await command.run(call)

    with_chain(tmp_path, text, "collect_commands", told)


def with_chain(folder: Path, body: str, hook: str, use: Callable[[Chain], Awaitable[T]], **settings: object) -> T:
    """What `use` makes of a chain of one isolated plugin."""

    async def used() -> T:
        chain = made_chain([plugin_file(folder, "own", body)], FakeServices(), hook, {"own": {**OWN, **settings}})
        try:
            return await use(chain)
        finally:
            chain.close()

    return asyncio.run(used())


async def collected(chain: Chain) -> AccountCommand:
    """The one command of the one plugin."""
    (called,) = await chain.collect("collect_commands", {}, lambda answer: answer, time.monotonic() + 60)
    assert isinstance(called.value, tuple)
    (command,) = called.value
    assert isinstance(command, AccountCommand)
    return command


async def asked(chain: Chain, hook: str) -> object:
    """The answer of the one plugin, or why there is none."""
    (one,) = chain.enforced(hook)
    arguments = {"evidence": chain.evidence(()), **ordinary_arguments(hook)}
    called = await chain.ask(one, hook, arguments, lambda answer: answer, time.monotonic() + 60)
    return called.call.error or called.value


# What it may do


REFUSED = {
    "a socket": "socket.socket()",
    "a connection": "socket.create_connection(('127.0.0.1', 9))",
    "a program": "subprocess.run(['/bin/true'])",
    "a fork": "os.fork()",
    "a signal to the server": "os.kill(os.getppid(), 0)",
    "the server's memory": "open(f'/proc/{os.getppid()}/mem', 'rb')",
    "the server's environment": "open(f'/proc/{os.getppid()}/environ', 'rb')",
    "a file of the system": "open('/etc/passwd')",
    "a new file": "open('/tmp/made-by-a-plugin', 'w')",
    "a folder": "os.listdir('/')",
}


@pytest.mark.parametrize("what", REFUSED)
def test_t_plug_14_what_is_not_declared_the_system_refuses(tmp_path: Path, what: str) -> None:
    assert tried(tmp_path, REFUSED[what]) == "PermissionError"
    assert not Path("/tmp/made-by-a-plugin").exists()


def test_t_plug_14_sockets_are_for_those_that_declare_the_network(tmp_path: Path) -> None:
    assert tried(tmp_path, "socket.socket().close()", "network") == "done"
    assert tried(tmp_path, f"open({str(tmp_path / 'x')!r}, 'w')", "network") == "PermissionError"


PATHS = {
    "a socket": "socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)",
    "a pair of datagrams, to be connected anew": "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].connect(PATH)",
    "a datagram from such a pair": "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'x', PATH)",
    "a raw pair, which is one of datagrams": "socket.socketpair(socket.AF_UNIX, socket.SOCK_RAW)[0].sendto(b'x', PATH)",
    "the kernel": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
}


@pytest.mark.parametrize("declared", [(), ("network",), ("network", "files", "credentials")])
@pytest.mark.parametrize("what", PATHS)
def test_t_plug_14_a_socket_that_has_a_path_is_out_of_reach_for_everybody(
    tmp_path: Path, what: str, declared: tuple[str, ...]
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.bind(str(tmp_path / "s"))
        assert tried(tmp_path, PATHS[what].replace("PATH", repr(str(tmp_path / "s"))), *declared) == "PermissionError"


def test_both_families_of_the_internet_are_for_those_that_declare_the_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as peer:
        host, port = peer.getsockname()
        assert tried(tmp_path, f"socket.create_connection(({host!r}, {port})).close()", "network") == "done"
    assert (
        tried(tmp_path, "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK).close()", "network") == "done"
    )


def test_an_event_loop_can_be_made_without_the_network(tmp_path: Path) -> None:
    assert tried(tmp_path, "asyncio.new_event_loop().close()") == "done"


def test_files_are_for_those_that_declare_them(tmp_path: Path) -> None:
    assert tried(tmp_path, f"open({str(tmp_path / 'x')!r}, 'w').write('seen')", "files") == "done"
    assert (tmp_path / "x").read_text() == "seen"
    (tmp_path / "folder").mkdir()
    assert tried(tmp_path, f"os.rename({str(tmp_path / 'x')!r}, {str(tmp_path / 'folder/x')!r})", "files") == "done"
    assert tried(tmp_path, "socket.socket()", "files") == "PermissionError"


@pytest.mark.parametrize("declared", [(), ("files", "network", "credentials")])
def test_t_plug_10_the_server_is_out_of_reach_for_everybody(tmp_path: Path, declared: tuple[str, ...]) -> None:
    assert tried(tmp_path, "os.kill(os.getppid(), 0)", *declared) == "PermissionError"
    assert tried(tmp_path, "open(f'/proc/{os.getppid()}/mem', 'rb')", *declared) == "PermissionError"
    ptrace = "assert ctypes.CDLL(None, use_errno=True).ptrace(16, os.getppid(), 0, 0) == 0"
    assert tried(tmp_path, ptrace, *declared) == "AssertionError"


NOT_OTHERS = {
    # name: (x86-64, arm64, arguments that the kernel takes, or refuses by another error than EPERM)
    "kill": (62, 129, "parent, 0"),
    "tkill": (200, 130, "parent, 0"),
    "tgkill": (234, 131, "parent, parent, 0"),
    "rt_sigqueueinfo": (129, 138, "parent, 0, 0"),
    "rt_tgsigqueueinfo": (297, 240, "parent, parent, 0, 0"),
    "pidfd_open": (434, 434, "parent, 0"),
    "pidfd_send_signal": (424, 424, "-1, 0, 0, 0"),
    "pidfd_getfd": (438, 438, "-1, 0, 0"),
    "fcntl F_SETOWN": (72, 25, "0, 8, parent"),
    "fcntl F_SETSIG": (72, 25, "0, 10, 9"),
    "fcntl F_SETOWN_EX": (72, 25, "0, 15, 0"),
    "ioctl FIOSETOWN": (16, 29, "0, 0x8901, 0"),
    "ioctl SIOCSPGRP": (16, 29, "0, 0x8902, 0"),
    "ioctl TIOCSTI": (16, 29, "0, 0x5412, 0"),
    "ptrace": (101, 117, "16, -1, 0, 0"),
    "process_vm_readv": (310, 270, "-1, 0, 0, 0, 0, 0"),
    "process_vm_writev": (311, 271, "-1, 0, 0, 0, 0, 0"),
    "process_madvise": (440, 440, "-1, 0, 0, 0, 0"),
    "process_mrelease": (448, 448, "-1, 0"),
    "kcmp": (312, 272, "-1, -1, 0, 0, 0"),
    "migrate_pages": (256, 238, "-1, 0, 0, 0"),
    "move_pages": (279, 239, "-1, 0, 0, 0, 0, 0"),
    "setpriority": (141, 140, "9, 0, 0"),
    "sched_setparam": (142, 118, "-1, 0"),
    "sched_setscheduler": (144, 119, "-1, 0, 0"),
    "sched_setaffinity": (203, 122, "-1, 0, 0"),
    "sched_setattr": (314, 274, "-1, 0, 0"),
    "ioprio_set": (251, 30, "9, 0, 0"),
    "execve": (59, 221, "0, 0, 0"),
    "execveat": (322, 281, "-1, 0, 0, 0, 0"),
    "io_uring_setup": (425, 425, "0, 0"),
    "io_uring_enter": (426, 426, "-1, 0, 0, 0, 0, 0"),
    "io_uring_register": (427, 427, "-1, 0, 0, 0"),
    "add_key": (248, 217, "0, 0, 0, 0, 0"),
    "request_key": (249, 218, "0, 0, 0, 0"),
    "keyctl": (250, 219, "-1, 0, 0, 0, 0"),
}


@pytest.fixture(scope="module")
def of_calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """What the kernel says to a plugin that has declared everything: 0 or an errno, by the name of the call."""
    machine = {"x86_64": 0, "aarch64": 1}.get(platform.machine())
    assert machine is not None, "there is a filter of system calls for x86-64 and arm64 only"
    calls = {**NOT_OTHERS, "fcntl F_GETFL": (72, 25, "0, 3, 0"), "ioctl FIONREAD": (16, 29, "0, 0x541b, 0")}
    rows = "".join(f"        ({row[machine]}, {row[2]}),\n" for row in calls.values())
    body = (
        "    import ctypes, os\n    parent, libc = os.getppid(), ctypes.CDLL(None, use_errno=True)\n"
        f"    calls = [\n{rows}    ]\n"
        "    said = [ctypes.get_errno() if libc.syscall(*call) < 0 else 0 for call in calls]\n"
        "    return Finding(None, ' '.join(map(str, said)))"
    )
    everything = ("body", "files", "network", "credentials")
    head = f"from mailward.api import *\nplugin = Plugin(api=1, summary='x', capabilities={everything!r})\n"
    said = found(tmp_path_factory.mktemp("calls"), body, head=head).split()
    return dict(zip(calls, map(int, said), strict=True))


@pytest.mark.parametrize("call", NOT_OTHERS)
def test_t_plug_14_no_system_call_reaches_another_process(of_calls: dict[str, int], call: str) -> None:
    assert of_calls[call] == errno.EPERM


def test_harmless_forms_of_these_calls_are_left(of_calls: dict[str, int]) -> None:
    assert of_calls["fcntl F_GETFL"] == 0
    assert of_calls["ioctl FIONREAD"] != errno.EPERM


def test_nothing_of_the_servers_is_inherited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILWARD_SECRET", "x")
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        body = (
            "    import os\n    known = {}\n    for fd in range(3, 20000):\n        try:\n            known[fd] = os.fstat(fd).st_ino\n"
            "        except OSError: pass\n"
            f"    return Finding(None, str(({os.fstat(file.fileno()).st_ino} in known.values(), sorted(os.environ))))"
        )
        text = found(tmp_path, body)
    assert text.startswith("(False, ")
    assert "MAILWARD_SECRET" not in text


def test_t_plug_03_memory_has_a_limit_and_the_next_call_gets_a_fresh_process(tmp_path: Path) -> None:
    text = (
        "kept = []\n@hookimpl\ndef inspect_mail():\n    for _ in range(4):\n        kept.append(b'x' * (100 << 20))\n"
        "    return Finding(None, str(len(kept)))\n"
    )

    async def several(chain: Chain) -> list[object]:
        return [str(await asked(chain, "inspect_mail")) for _ in range(3)]

    first, second, third = with_chain(tmp_path, text, "inspect_mail", several)
    assert "text='4'" in str(first)
    assert "MemoryError" in str(second)
    assert "text='4'" in str(third)


# How it ends


def test_a_call_that_heeds_its_cancellation_costs_nobody_the_process(tmp_path: Path) -> None:
    text = (
        "calls = []\n@hookimpl\nasync def inspect_mail(services):\n    calls.append(1)\n"
        "    await services.resolver.resolve(f'{len(calls)}.example', 'TXT')\n    return Finding(None, str(len(calls)))\n"
    )
    answers = asyncio.Event()

    class SlowAtFirst:
        async def resolve(self, name: str, _: str) -> DnsAnswer:
            if name == "1.example":
                await answers.wait()
            return DnsAnswer("nodata")

    async def three_times() -> list[str]:
        services = FakeServices()
        services.zone = SlowAtFirst()  # type: ignore[assignment]
        own = plugin_file(tmp_path, "own", text)
        chain = made_chain([own], services, "inspect_mail", {"own": {**OWN, "timeout": "300ms"}})
        said = [str(await asked(chain, "inspect_mail")) for _ in range(2)]
        answers.set()  # of the first, which ended long ago: what comes next is read after it
        said.append(str(await asked(chain, "inspect_mail")))
        chain.close()
        return said

    first, second, third = asyncio.run(three_times())
    assert "longer than its limit" in first
    assert "text='2'" in second
    assert "text='3'" in third


def test_a_call_is_not_given_to_a_process_that_may_have_to_be_killed(tmp_path: Path) -> None:
    text = (
        "calls = []\n@hookimpl\nasync def inspect_mail(envelope):\n    if envelope.reverse_path.is_null:\n        time.sleep(60)\n"
        "    return Finding(None, 'fine')\n"
    )

    async def one_after_another(chain: Chain) -> list[str]:
        (one,) = chain.enforced("inspect_mail")
        ordinary = {"evidence": chain.evidence(()), **ordinary_arguments("inspect_mail")}
        said = []
        for sender in ("", "a@example.net"):
            arguments = {**ordinary, "envelope": make_envelope(sender)}
            called = await chain.ask(one, "inspect_mail", arguments, lambda answer: answer, time.monotonic() + 60)
            said.append(called.call.error or str(called.value))
        return said

    first, second = with_chain(tmp_path, text, "inspect_mail", one_after_another, timeout="500ms")
    assert "longer than its limit" in first
    assert "fine" in second


HOSTILE = (
    "import os\n@hookimpl\nasync def inspect_mail(envelope, services):\n"
    "    name = str(envelope.reverse_path).encode()\n"
    "    await services.kv.add_many({b'all': (1,), name: (1,)})\n"
    "    counted = await services.kv.counters([b'all', name])\n"
    "    if envelope.reverse_path.is_null:\n"
    "        while (await services.kv.counters([b'all']))[b'all'][0] < OTHERS + 1: pass\n"
    "        FATE\n"
    "    if name != b'late@example.net' and counted[name][0] == 1:\n        await asyncio.Event().wait()\n"
    "    return Finding(None, str(counted[name][0]))\n"
)
"""The null reverse-path meets its fate when all others are under way; those wait for ever at their first call, not at a second."""


def with_a_hostile_one(folder: Path, fate: str, others: int) -> tuple[list[str], str]:
    """What the others and the hostile call come to, and then one more."""

    async def at_once(chain: Chain) -> tuple[list[str], str]:
        (one,) = chain.enforced("inspect_mail")
        ordinary = {"evidence": chain.evidence(()), **ordinary_arguments("inspect_mail")}

        async def told(sender: str) -> str:
            asks = {**ordinary, "envelope": make_envelope(sender)}
            called = await chain.ask(one, "inspect_mail", asks, lambda answer: answer, time.monotonic() + 60)
            return called.call.error or "answered at call " + str(called.value).partition("text='")[2][0]

        senders = [*(f"{number}@example.net" for number in range(others)), ""]
        return await asyncio.gather(*map(told, senders)), await told("late@example.net")

    return with_chain(
        folder, HOSTILE.replace("OTHERS", str(others)).replace("FATE", fate), "inspect_mail", at_once, timeout="40s"
    )


def test_t_plug_03_a_call_that_ends_the_process_fails_and_no_other_and_the_plugin_stays(tmp_path: Path) -> None:
    at_once, late = with_a_hostile_one(tmp_path, "os._exit(9)", 6)
    assert at_once == [*["answered at call 2"] * 6, "its process ended (exit code 9)"]
    assert late == "answered at call 1"


def test_t_plug_03_a_call_that_uses_up_the_memory_fails_and_no_other(tmp_path: Path) -> None:
    at_once, _ = with_a_hostile_one(tmp_path, "raise MemoryError('much')", 1)
    assert at_once == ["answered at call 2", "MemoryError: much (line 28)"]


def test_a_fault_of_the_server_ends_the_call_too(tmp_path: Path) -> None:
    module = plugin_file(tmp_path, "own", "@hookimpl\nasync def inspect_mail(): ...\n")

    async def without_a_clock() -> object:
        services = FakeServices()
        services.clock = None  # type: ignore[assignment]
        chain = made_chain([module], services, "inspect_mail", {"own": OWN})
        try:
            return await asked(chain, "inspect_mail")
        finally:
            chain.close()

    assert "AttributeError: 'NoneType' object has no attribute 'now'" in str(asyncio.run(without_a_clock()))


@pytest.mark.parametrize("failing", ["socket.socketpair", "subprocess.Popen"])
@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), RuntimeError("can't start new thread")])
def test_t_plug_03_a_process_that_cannot_be_started_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: Exception
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    async def twice(chain: Chain) -> list[str]:
        said = []
        with monkeypatch.context() as patched:
            patched.setattr(f"mailward.pipeline.isolation.process.{failing}", fails)
            async with asyncio.timeout(20):
                said.append(str(await asked(chain, "inspect_mail")))
        return [*said, str(await asked(chain, "inspect_mail"))]

    text = "@hookimpl\nasync def inspect_mail():\n    return Finding(None, 'works again')\n"
    first, second = with_chain(tmp_path, text, "inspect_mail", twice)
    assert first == f"{type(error).__name__}: {error}"
    assert "works again" in second


def test_t_plug_03_a_hook_that_fails_as_a_command_does_has_failed(tmp_path: Path) -> None:
    text = "@hookimpl\nasync def inspect_mail():\n    raise CommandFailed('no command')\n"

    async def once(chain: Chain) -> object:
        async with asyncio.timeout(20):
            return await asked(chain, "inspect_mail")

    assert with_chain(tmp_path, text, "inspect_mail", once) == "no command"


LIES = {
    "rubbish": (b"\xff" * 64, "a frame of"),
    "a frame of 4 GB": (b"\x00\x00\x00\x01\xff\xff\xff\xff", "a frame of 4294967296 octets"),
    "no JSON": (b"\x00\x00\x00\x03\x00\x00\x00\x00{x}", "a frame that is no list in JSON"),
    "an answer nobody waits for": (
        b"\x00\x00\x00\x15\x00\x00\x00\x00" + b'["done",77777,"x",[]]',
        "a frame that nobody waits for",
    ),
    "a service nobody offers": (
        b"\x00\x00\x00\x1f\x00\x00\x00\x00" + b'["ask",1,"os","system","x",{},[]',
        "a frame that is no list",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_t_plug_11_a_process_that_sends_anything_else_is_killed(tmp_path: Path, lie: str) -> None:
    octets, reason = LIES[lie]
    text = (
        "import os, stat\n@hookimpl\nasync def inspect_mail():\n    for fd in range(3, 20000):\n        try:\n"
        f"            if stat.S_ISSOCK(os.fstat(fd).st_mode):\n                os.write(fd, {octets!r})\n"
        "        except OSError:\n            pass\n    await asyncio.Event().wait()\n"
    )

    async def once(chain: Chain) -> object:
        return await asked(chain, "inspect_mail")

    said = str(with_chain(tmp_path, text, "inspect_mail", once, timeout="20s"))
    assert said.startswith("it was killed, since it sent ")
    assert reason in said


# What it may have the worker do


def test_more_questions_than_are_worked_on_at_once_wait_and_are_answered(tmp_path: Path) -> None:
    body = (
        "    asked = [services.kv.get_many([b'%d' % number]) for number in range(1000)]\n"
        "    return Finding(None, str(len(await asyncio.gather(*asked))))"
    )
    assert found(tmp_path, body) == "1000"


def test_t_plug_11_limits_that_a_worker_cannot_bear_are_lowered(tmp_path: Path) -> None:
    services = FakeServices()
    body = (
        "    await services.kv.put_many({b'%04d' % number: b'x' for number in range(1500)})\n"
        "    said = [len(await services.kv.find(b'', limit=limit)) for limit in (5, 10**9, -1)]\n"
        "    try:\n        await services.kv.get_many([b'%d' % number for number in range(1001)])\n"
        "    except ValueError as error:\n        said.append(str(error))\n"
        "    return Finding(None, repr(said))"
    )
    text = found(tmp_path, body, services)
    assert text == "[5, 1000, 0, '1001 keys; at most 1000 at once are looked up for a process']"


@pytest.mark.parametrize(
    ("given", "kept"),
    [((9, 1.0), (9, 1.0)), ((1 << 40, 1e9), (3 << 20, 60.0)), ((1, float("nan")), (1, 60.0)), ((1, 0.0), (1, 60.0))],
)
def test_t_plug_11_a_page_is_fetched_within_limits(given: tuple[int, float], kept: tuple[int, float]) -> None:
    named = bounded("http", "get", ("https://example.net/",), {"limit_octets": given[0], "limit_s": given[1]})
    assert (named["limit_octets"], named["limit_s"]) == kept


def test_t_plug_11_an_answer_that_is_too_large_is_refused(tmp_path: Path) -> None:
    body = (
        "    await services.kv.put_many({b'%d' % number: bytes(60_000) for number in range(60)})\n"
        "    await services.kv.put_many({b'%d' % number: bytes(60_000) for number in range(60, 80)})\n"
        "    try:\n        await services.kv.find(b'')\n"
        "    except ValueError as error:\n        return Finding(None, str(error))"
    )
    assert found(tmp_path, body) == "an answer of 4800150 octets; at most 4194304 come at once: ask for less"


def test_t_plug_11_log_lines_without_end_are_dropped_and_counted(tmp_path: Path) -> None:
    services = FakeServices()
    lines = 20_000
    assert found(tmp_path, f"    for _ in range({lines}): services.log.info('x')\n    return Finding(None, 'y')", services) == "y"
    written = [event for _, event, _ in services.log["own"].events]
    assert 1000 <= written.count("x") < lines


def test_t_plug_11_a_pace_is_kept() -> None:
    clock = [0.0]
    pace = Pace(10, 3, lambda: clock[0])
    for _ in range(3):
        assert pace.wait_s() == 0.0
        pace.spend()
    assert pace.wait_s() == pytest.approx(0.1)
    clock[0] = 0.1
    assert pace.wait_s() == pytest.approx(0.0)
    clock[0] = 1000.0
    for _ in range(3):
        assert pace.wait_s() == 0.0
        pace.spend()
    assert pace.wait_s() > 0.0


def test_t_plug_11_a_process_that_does_not_read_its_answers_is_killed(tmp_path: Path) -> None:
    keys = 60
    asks = b"".join(b"".join(frame(["ask", number, 0, "kv", "find", ["t", ["b", 0]], ["d"]], [b"k"])) for number in range(1, 41))
    text = (
        "import os, stat\n@hookimpl(inline=True)\ndef inspect_mail():\n    for fd in range(3, 20000):\n        try:\n"
        f"            if stat.S_ISSOCK(os.fstat(fd).st_mode):\n                os.write(fd, {asks!r})\n"
        "        except OSError:\n            pass\n    time.sleep(600)\n"
    )

    async def once() -> object:
        services = FakeServices()
        module = plugin_file(tmp_path, "own", text)
        chain = made_chain([module], services, "inspect_mail", {"own": {**OWN, "timeout": "50s"}})
        (one,) = chain.enforced("inspect_mail")
        await one.services.kv.put_many({b"k%d" % number: bytes(60_000) for number in range(keys)})
        try:
            return await asked(chain, "inspect_mail")
        finally:
            chain.close()

    assert asyncio.run(once()) == "it was killed, since it does not read what it has asked for"


SPINS = """\
import os, threading, time
def spin():
    while True: pass
@hookimpl
def inspect_mail(envelope):
    until = time.process_time() + 1.3
    while time.process_time() < until: pass
    if {leaks}:
        threading.Thread(target=spin, daemon=True).start()
    return Finding(None, str(os.getpid()))
"""


@pytest.mark.parametrize("leaks", [True, False])
def test_t_plug_03_a_process_that_computes_when_nobody_has_asked_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leaks: bool
) -> None:
    monkeypatch.setattr(processor, "AT_ONCE_S", 1.0)
    monkeypatch.setattr(connection, "LOOK_S", 0.05)

    async def ends(chain: Chain) -> bool:
        pid = int(str(await asked(chain, "inspect_mail")).partition("text='")[2].partition("'")[0])
        return await asyncio.to_thread(ends_within, os.pidfd_open(pid), 20.0 if leaks else 1.0)

    assert with_chain(tmp_path, SPINS.format(leaks=leaks), "inspect_mail", ends) is leaks


def test_t_plug_03_what_is_computed_in_calls_is_not_counted_and_small_things_between_them_are_made_good() -> None:
    used, now = 0.0, 0.0
    idle = processor.IdleUse(lambda: used, lambda: now)
    for _ in range(100):
        idle.begin_call()
        used, now = used + 30, now + 30
        assert not idle.is_too_much()
        idle.end_calls()
        used, now = used + 4, now + 80  # 5 % of 80 s are 4 s
        assert not idle.is_too_much()
    used += 5.1
    assert idle.is_too_much()


def test_a_process_that_is_not_ready_in_time_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unheard: list[str] = []

    async def twice(chain: Chain) -> list[str]:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(str(context)))
        said = []
        for start_s in (0.0, 60.0):
            monkeypatch.setattr(connection, "START_S", start_s)
            said.append(str(await asked(chain, "inspect_mail")))
        gc.collect()
        return said

    first, second = with_chain(
        tmp_path, "@hookimpl\nasync def inspect_mail():\n    return Finding(None, 'ok')\n", "inspect_mail", twice
    )
    assert first == "its process was not ready within 0 s"
    assert "text='ok'" in second
    assert unheard == []


def test_a_start_that_nobody_waits_for_any_more_fails_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "START_S", 0.05)
    unheard: list[str] = []

    async def once(chain: Chain) -> str | None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(str(context)))
        (one,) = chain.enforced("inspect_mail")
        called = await chain.ask(one, "inspect_mail", {}, lambda answer: answer, time.monotonic() + 0.001)
        starting = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(starting)
        del starting
        return called.call.error

    text = "import os\nif not os.environ.get('HOME'):  # as there\n    time.sleep(60)\n@hookimpl\nasync def inspect_mail(): ...\n"
    assert with_chain(tmp_path, text, "inspect_mail", once) == "the time of its stage ran out before its process was ready"
    gc.collect()
    assert unheard == []


def test_a_plugin_that_cannot_be_loaded_there_says_why(tmp_path: Path) -> None:
    text = (
        "import os\nif os.environ.get('HOME') is None:\n    raise RuntimeError('no home')\n@hookimpl\ndef inspect_mail(): ...\n"
    )

    async def once(chain: Chain) -> object:
        return await asked(chain, "inspect_mail")

    assert with_chain(tmp_path, text, "inspect_mail", once) == "its process cannot load it: RuntimeError: no home"


def test_t_plug_03_no_process_is_left_when_the_worker_is_killed(tmp_path: Path) -> None:
    plugin_file(tmp_path, "own", "import os\n@hookimpl\nasync def inspect_mail():\n    return Finding(None, str(os.getpid()))\n")
    program = dedent(f"""
        import asyncio, sys, time
        sys.path.insert(0, {str(Path(__file__).parents[2])!r})
        from pathlib import Path
        from mailward.pipeline.plugins import PluginHost
        from support.plugin_modules import plugin_file
        from mailward.testing.calling import made_chain, ordinary_arguments
        from mailward.testing.world import FakeServices

        async def main():
            text = Path({str(tmp_path / "own.py")!r}).read_text().partition("import os\\n@hook")[2]
            own = plugin_file(Path({str(tmp_path)!r}), "own", "import os\\n@hook" + text)
            chain = made_chain([own], FakeServices(), "inspect_mail", {{"own": {{"isolation": "process"}}}})
            (one,) = chain.enforced("inspect_mail")
            arguments = {{"evidence": chain.evidence(()), **ordinary_arguments("inspect_mail")}}
            called = await chain.ask(one, "inspect_mail", arguments, lambda answer: answer, time.monotonic() + 60)
            print(called.value[0].text, flush=True)
            await asyncio.Event().wait()

        asyncio.run(main())
    """)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        pid = next(int(line) for line in worker.stdout if line.strip().isdigit())
        watched = os.pidfd_open(pid)
        worker.send_signal(signal.SIGKILL)
    assert ends_within(watched, 20), "its process is still there"


@pytest.mark.parametrize(
    "end",
    ["pass", "raise ValueError('no')", "return 3", "os._exit(3)", "await asyncio.sleep(60)", "await services.kv.put_many(3)"],
)
def test_a_chain_that_nobody_holds_any_more_takes_its_process_along_at_once(tmp_path: Path, end: str) -> None:
    """However its calls have ended: nothing waits for a collection of garbage, which on a quiet server may be hours away."""

    async def is_gone() -> bool:
        text = (
            "import asyncio, os\n@hookimpl\nasync def inspect_mail(envelope, services):\n"
            f"    if envelope.reverse_path.address.local_part == 'bad':\n        {end}\n    return Finding(None, str(os.getpid()))\n"
        )
        chain = made_chain(
            [plugin_file(tmp_path, "own", text)], FakeServices(), "inspect_mail", {"own": {**OWN, "timeout": "1s"}}
        )
        (one,) = chain.enforced("inspect_mail")
        bad = {**ordinary_arguments("inspect_mail"), "envelope": make_envelope("bad@example.net")}
        await chain.ask(one, "inspect_mail", bad, lambda answer: answer, time.monotonic() + 60)
        pid = int(str(await asked(chain, "inspect_mail")).partition("text='")[2].partition("'")[0])
        watched = os.pidfd_open(pid)
        del chain, one
        return await asyncio.to_thread(ends_within, watched, 20)

    gc.disable()
    try:
        assert asyncio.run(is_gone())
    finally:
        gc.enable()


@pytest.mark.parametrize(("on_error", "reply"), [("accept", "250"), ("tempfail", "451")])
def test_t_q_19_a_filter_that_dies_in_the_middle_of_its_edits_leaves_the_mail_as_it_was_or_it_fails(
    tmp_path: Path, scan: Scan, on_error: str, reply: str
) -> None:
    """Edits are an answer, given whole; who dies over them has answered nothing, and the others' count."""
    dies = (
        "@hookimpl\ndef edit_message(message):\n"
        "    made = [RemoveHeader('Subject'), AddHeader('X-Half', 'done'), ReplacePart('1', 'text/plain', b'half')]\n"
        "    import os\n    os._exit(9)\n    return made\n"
    )
    beside = plugin_file(tmp_path, "beside", "@hookimpl\ndef edit_message(message):\n    return AddHeader('X-Whole', 'y')\n")
    plugins = [plugin_file(tmp_path, "dies", dies), beside]
    result = scan(MAIL, plugins=plugins, settings={"dies": {**OWN, "on_error": on_error}})
    assert result.reply.startswith(reply)
    assert [edit for edit in result.edits if "X-Whole" not in repr(edit)] == []
