"""The dkim plugin in the real chain of an outbound policy: what leaves, beside other plugins and when something is broken."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

from mailward.api import Relaying
from mailward.model.errors import HooksUnavailable
from mailward.model.ids import QueueId
from mailward.pipeline.plugins import PluginHost
from mailward.pipeline.relays import Relays
from mailward.policy import load_policy, load_preset, plugins_of_preset
from mailward_plugins.dkim.keys import dns_records
from mailward_plugins.dkim.rules import Outcome, verify
from mailward_plugins.dkim.settings import DkimSettings
from support.dkim_keys import ed25519_pem, rsa_pem, write_key
from support.fake_dns import FakeDns
from support.mail import split
from support.plugin_modules import plugin_module
from support.plugin_services import services

MESSAGE = b"From: ann@example.org\r\nTo: bob@example.net\r\nSubject: Lunch\r\n\r\nShall we?\r\n"
SUBMITTED = Relaying(QueueId("q1"), "example.net", "submission", "ann@example.org", "ann@example.org", ("bob@example.net",))
CHANGES_THE_SUBJECT = """
@hookimpl
def edit_relay(message):
    return PrefixSubject("[changed] ")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_key(tmp_path / "secrets", "example.org/r1.pem", rsa_pem())
    write_key(tmp_path / "secrets", "example.org/e1.pem", ed25519_pem())
    return tmp_path


def relays(folder: Path, plugins: str = "{dkim: {}}", modules: tuple[ModuleType, ...] = ()) -> Relays:
    host = PluginHost(modules={module.__name__: module for module in modules})
    path = folder / "outbound.yaml"
    path.write_text(f"version: 1\nplugins: {plugins}\n")
    declarations = host.enable(["dkim", *(module.__name__ for module in modules)])
    given = services(folder)
    return Relays(load_policy(path, declarations), host, lambda _: given)


async def verified(message: bytes, folder: Path) -> list[str]:
    async def run(function: Callable[[], list[Outcome]]) -> list[Outcome]:
        return function()

    records = dns_records("example.org", services(folder).secrets)
    zone = FakeDns({r.name.removesuffix("."): {"TXT": [r.value.replace('" "', "").strip('"')]} for r in records})
    fields, body = split(message)
    return [o.result for o in await verify(fields, body, ["example.org"], zone, run, datetime.now(UTC), DkimSettings())]


def test_the_shipped_policy_signs() -> None:
    host = PluginHost()
    policy = load_preset("outbound", host.enable(plugins_of_preset("outbound")))
    assert policy.plugins["dkim"].mode == "enforce"


async def test_what_leaves_is_signed_by_both_keys(folder: Path) -> None:
    sent = await relays(folder).edits(SUBMITTED, MESSAGE)
    assert sent.endswith(MESSAGE) and sent.count(b"DKIM-Signature: ") == 2
    assert await verified(sent, folder) == ["pass", "pass"]


async def test_t_dkim_16_plugins_named_later_in_the_policy_still_change_before_the_signature(folder: Path) -> None:
    changing = plugin_module("changing", CHANGES_THE_SUBJECT)
    for plugins in ("{dkim: {}, changing: {}}", "{changing: {}, dkim: {}}"):
        sent = await relays(folder, plugins, (changing,)).edits(SUBMITTED, MESSAGE)
        assert b"Subject: [changed] Lunch" in sent
        assert await verified(sent, folder) == ["pass", "pass"]


@pytest.mark.parametrize("damage", ["broken", "open to others", "a link", "a folder that is a file"])
async def test_mail_waits_while_a_key_cannot_be_used(folder: Path, damage: str) -> None:
    key = folder / "secrets/example.org/r1.pem"
    if damage == "broken":
        key.write_bytes(b"")
    elif damage == "open to others":
        key.chmod(0o644)
    elif damage == "a link":
        key.rename(folder / "key")
        key.symlink_to(folder / "key")
    else:
        (folder / "secrets/example.org").rename(folder / "moved")
        write_key(folder / "secrets", "example.org", b"")
    with pytest.raises(HooksUnavailable, match="dkim") as failed:
        await relays(folder).edits(SUBMITTED, MESSAGE)
    assert not failed.value.permanent


async def test_t_dkim_16_a_message_that_cannot_be_signed_is_told_apart_from_a_broken_key(folder: Path) -> None:
    with pytest.raises(HooksUnavailable) as failed:
        await relays(folder).edits(SUBMITTED, b"To: bob@example.net\r\n" * 300 + MESSAGE)
    assert failed.value.permanent and failed.value.reason == "it has too many fields of one name to be signed"


async def test_new_keys_sign_without_a_restart(folder: Path) -> None:
    running = relays(folder)
    await running.edits(SUBMITTED, MESSAGE)
    write_key(folder / "secrets", "example.org/r1.pem", rsa_pem(number=1))
    assert await verified(await running.edits(SUBMITTED, MESSAGE), folder) == ["pass", "pass"]


async def test_many_at_once(folder: Path) -> None:
    running = relays(folder)
    sent = await asyncio.gather(*(running.edits(SUBMITTED, MESSAGE + b"%d\r\n" % number) for number in range(40)))
    for message in sent:
        assert await verified(message, folder) == ["pass", "pass"]
