"""Every bundled plugin finds the same in a process of its own."""

from collections.abc import Mapping

import pytest

from mailward.pipeline.plugins import PluginHost
from mailward.testing import CallHook, FakeZone, Scan
from mailward.testing.calling import direction_of
from mailward.testing.making import make_mail
from mailward.testing.world import FakeServices

BUNDLED = sorted(one.name for one in PluginHost().available() if one.origin.startswith("mailward "))
LOOKING = [name for name in BUNDLED if {"inspect_mail", "inspect_message"} & set(PluginHost().load(name).implementations)]
NEEDED = {"dmarc": ("spf", "dkim")}
ELSEWHERE = {"antivirus"}
"""Asks a daemon that is not there; `test_virus.py` has one."""

MAIL = make_mail(
    "BUY NOW http://example.com/\n",
    subject="FREE MONEY",
    html="<p>BUY NOW</p>",
    attach={"invoice.pdf": b"%PDF-1.4"},
    fields={"DKIM-Signature": "v=1; a=rsa-sha256; d=example.net; s=k; h=from; bh=AAAA; b=AAAA"},
)


def zone() -> FakeZone:
    made = FakeZone()
    made.add("example.net", "TXT", "v=spf1 ip4:192.0.2.1 -all")
    made.add("_dmarc.example.net", "TXT", "v=DMARC1; p=reject")
    made.fail("k._domainkey.example.net", "TXT")
    return made


def found(names: tuple[str, ...], settings: Mapping[str, Mapping[str, object]]) -> list[tuple[object, ...]]:
    result = Scan(FakeServices(zone()))(MAIL, plugins=list(names), settings=settings)
    return [(name, f.symbol, f.text, f.strength, f.facts, f.asks, f.auth) for name, f in result.observed] + [
        (call.plugin, call.hook, call.error) for call in result.calls
    ]


@pytest.mark.parametrize("name", [name for name in LOOKING if name not in ELSEWHERE])
def test_a_bundled_plugin_finds_the_same_in_a_process_of_its_own(name: str) -> None:
    names = (*NEEDED.get(name, ()), name)
    assert found(names, {name: {"isolation": "process"}}) == found(names, {})


@pytest.mark.parametrize(
    ("name", "hook"),
    [
        (name, hook)
        for name in BUNDLED
        for hook in PluginHost().load(name).implementations
        if hook.startswith(("collect_", "provide_", "on_", "edit_")) and hook not in ("collect_commands",)
    ],
)
def test_its_other_hooks_answer_the_same(name: str, hook: str) -> None:
    here, there = CallHook(), CallHook()
    assert direction_of(hook)
    assert there(name, hook, settings={"isolation": "process"}) == here(name, hook)
