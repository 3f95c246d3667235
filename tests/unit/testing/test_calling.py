"""Fixtures for authors: every hook can be called with one line, and what is made for it is what the server would give."""

import email
import email.policy
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import pytest

from mailward.api import Finding, MessageView, Role, hooks
from mailward.pipeline.plugins import ENTRY_POINT_GROUP, PluginHost, spec_arguments
from mailward.pipeline.stages import PLACES
from mailward.testing import CallHook, FakeServices, HookFailed, making
from mailward.testing.calling import ORDINARY, argument_types, ordinary_arguments
from support.plugin_modules import plugin_module

BUNDLED = sorted(point.name for point in metadata.entry_points(group=ENTRY_POINT_GROUP))
SETTINGS = {"antivirus": {"engine": "test-file"}}
BESIDE = {"dmarc": ("spf", "dkim")}


@pytest.mark.parametrize("hook", PLACES)
def test_every_hook_has_an_ordinary_value_of_each_argument(hook: str) -> None:
    assert hasattr(hooks, hook)
    assert set(argument_types(hook).values()) <= set(ORDINARY), "a new kind of argument: give it an ordinary value in calling.py"
    assert {*ordinary_arguments(hook), "evidence", "settings", "services"} >= set(spec_arguments(hook))


@pytest.mark.parametrize("plugin", BUNDLED)
def test_each_hook_of_each_bundled_plugin_answers_to_ordinary_values(plugin: str, call_hook: CallHook) -> None:
    for hook in PluginHost().load(plugin).implementations:
        call_hook(plugin, hook, settings=SETTINGS.get(plugin), beside=BESIDE.get(plugin, ()))


def test_every_maker_is_offered_to_authors() -> None:
    made = {name for name in vars(making) if name.startswith("make_")}
    assert made <= set(vars(import_module("mailward.testing")))
    page = (Path(__file__).parents[3] / "docs/how-to/test-a-filter.md").read_text()
    assert [name for name in sorted(made) if f"{name}(" not in page] == []
    assert [hook for hook in PLACES if f"`{hook}`" not in page and hook != "collect_commands"] == []


def test_what_fails_at_the_server_fails_here(call_hook: CallHook) -> None:
    broken = plugin_module("broken", "@hookimpl\ndef inspect_message(message):\n    return Finding('NOT_DECLARED', 'x')\n")
    with pytest.raises(HookFailed, match="'NOT_DECLARED', which its Plugin does not declare"):
        call_hook(broken, "inspect_message")
    raises = plugin_module("raises", "@hookimpl\ndef inspect_message(message):\n    sys.exit('bye')\n")
    with pytest.raises(HookFailed, match="SystemExit: bye"):
        call_hook(raises, "inspect_message")
    with pytest.raises(HookFailed, match="does not implement inspect_mail"):
        call_hook(raises, "inspect_mail")
    with pytest.raises(TypeError, match="inspect_message has no argument mail"):
        call_hook(raises, "inspect_message", mail=b"")
    with pytest.raises(ValueError, match="no hook 'inspect_letter'"):
        call_hook(raises, "inspect_letter")


def test_what_the_test_gives_reaches_the_hook_and_what_it_keeps_stays() -> None:
    services = FakeServices()
    keeper = plugin_module(
        "keeper",
        "@hookimpl\nasync def inspect_message(session, envelope, message, evidence, services):\n"
        "    await services.kv.put_many({b'ip': session.peer_ip.encode()})\n"
        "    seen = f'{session.helo} {envelope.reverse_path} {message.subject} {evidence.auth_results()}'\n"
        "    return Finding('SEEN', seen, facts=OwnFacts(word=message.subject))\n",
    )
    given: dict[str, Any] = {
        "session": making.make_session("2001:db8::1", "h.example"),
        "envelope": making.make_envelope("", ["b@example.org", "c@example.org"]),
        "message": making.make_message("Subject: given\n\nx\n"),
        "evidence": making.make_evidence(other=Finding(None, "found")),
    }
    (finding,) = CallHook(services)(keeper, "inspect_message", **given)
    assert finding.text == "h.example  given ()"
    assert services.kv["keeper"].values == {b"ip": b"2001:db8::1"}


def test_a_made_mail_is_what_others_read() -> None:
    mail = making.make_mail(
        "Grüße\n", subject="Mittagessen für zwei", html="<p>Grüße</p>", attach={"a.bin": b"\0\xff"}, fields={"X-A": "b"}
    )
    assert mail == making.make_mail(
        "Grüße\n", subject="Mittagessen für zwei", html="<p>Grüße</p>", attach={"a.bin": b"\0\xff"}, fields={"X-A": "b"}
    )
    read = email.message_from_bytes(mail, policy=email.policy.default)
    assert read["Subject"] == "Mittagessen für zwei" and read["X-A"] == "b"
    assert [part.get_content_type() for part in read.walk() if not part.is_multipart()] == [
        "text/plain",
        "text/html",
        "application/octet-stream",
    ]
    assert MessageView(mail).subject == read["Subject"] and MessageView(mail).anomalies == ()
    assert all(line.endswith(b"\r") for line in mail.split(b"\n")[:-1])


def test_a_user_submits_and_a_stranger_does_not() -> None:
    user, stranger = making.make_session(user="a@example.org"), making.make_session()
    assert (user.role, user.with_protocol) == (Role.SUBMISSION, "ESMTPSA")
    assert (stranger.role, stranger.with_protocol, stranger.identity) == (Role.MX, "ESMTP", None)
    assert making.make_envelope(rcpt=()).forward_paths == ()
