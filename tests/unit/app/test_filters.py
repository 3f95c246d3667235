"""What is refused when policies and plugins meet, beyond what either shows alone."""

from pathlib import Path

import pytest

from mailward.app.config_file import load_config
from mailward.app.filters import known_plugins, load_filters
from mailward.model.errors import PolicyError

CONFIG = """\
version: 1
hostname: mx.example.test
tls: {certificate: c.pem, key: k.pem}
listeners: {mx: {protocol: smtp, port: 2025}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mailward.yaml").write_text(CONFIG)
    for name in ("c.pem", "k.pem"):
        (tmp_path / name).touch()
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/inbound.yaml").write_text("version: 1\nplugins: {}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("access", "said"),
    [
        ("version: 1\nplugins: {accounts: {}}\n", "access.yaml:1:1  plugins: no plugin asks for a second factor"),
        (
            "version: 1\nextends: mailward/access\nplugins:\n  totp: {on_error: accept}\n",
            "access.yaml:4:9  plugins.totp.on_error",
        ),
    ],
)
def test_t_2fa_04_a_second_factor_is_not_lost_by_a_line(folder: Path, access: str, said: str) -> None:
    (folder / "policies/access.yaml").write_text(access)
    with pytest.raises(PolicyError) as caught:
        load_filters(load_config(folder / "mailward.yaml"))
    assert said in str(caught.value)


@pytest.mark.parametrize("access", [None, "version: 1\nplugins: {accounts: {}, totp: {mode: off}}\n"])
def test_the_preset_asks_and_who_wants_none_says_so(folder: Path, access: str | None) -> None:
    if access is not None:
        (folder / "policies/access.yaml").write_text(access)
    assert load_filters(load_config(folder / "mailward.yaml")).policies["access"].direction == "access"


def test_every_fact_and_setting_of_a_bundled_plugin_has_a_meaning_for_who_writes_a_policy(folder: Path) -> None:
    config = load_config(folder / "mailward.yaml")
    found, wrong = known_plugins(config)
    assert not wrong and len(found) > 8
    told = {word.name: word.meaning for known in found for word in known.facts if known.name == "dmarc"}
    assert told["domain"] == 'the author\'s (From), "" when there is not exactly one'
    assert told["status"] == "ok, off, shadow, skipped or failed"
    assert [f"{known.name}.{word.name}" for known in found for word in (*known.facts, *known.settings) if not word.meaning] == []


@pytest.mark.parametrize(
    ("plugins", "said"),
    [
        (
            "{spf: {mode: off}}",
            "inbound.yaml:3:16  plugins.dmarc: its inspect_message needs the plugin 'spf', which does not count here",
        ),
        ("{spf: {mode: shadow}}", "It is shadow here."),
        ("{dkim: {mode: canary, share: 5%}}", "It is canary here."),
    ],
)
def test_plugins_that_cannot_work_together_are_the_policys_problem(folder: Path, plugins: str, said: str) -> None:
    """Before a worker is told: it would refuse to start, again and again."""
    (folder / "policies/inbound.yaml").write_text(f"version: 1\nextends: mailward/inbound\nplugins: {plugins}\n")
    with pytest.raises(PolicyError) as caught:
        load_filters(load_config(folder / "mailward.yaml"))
    assert said in str(caught.value)


def test_what_goes_together_in_shadow_or_off_is_fine(folder: Path) -> None:
    for entries in ("{spf: {mode: off}, dmarc: {mode: off}}", "{dmarc: {mode: shadow}}", "{dmarc: {mode: canary, share: 5%}}"):
        (folder / "policies/inbound.yaml").write_text(f"version: 1\nextends: mailward/inbound\nplugins: {entries}\n")
        filters = load_filters(load_config(folder / "mailward.yaml"))
        warnings = [str(problem) for policy in filters.policies.values() for problem in policy.warnings]
        assert all("dmarc" in text and "is off or not there" in text for text in warnings)


def test_a_plugin_that_needs_one_that_nobody_has_is_told_where_the_policy_names_it(folder: Path) -> None:
    (folder / "plugins").mkdir()
    text = "from mailward.api import *\nplugin = Plugin(api=1, summary='x')\n@hookimpl(needs=['spff'])\ndef inspect_mail(): ...\n"
    (folder / "plugins/own.py").write_text(text)
    (folder / "plugins/own.py").chmod(0o600)
    (folder / "policies/inbound.yaml").write_text("version: 1\nplugins: {own: {}}\n")
    with pytest.raises(PolicyError, match=r"inbound.yaml:2:\d+  plugins.own: its inspect_mail needs the plugin 'spff'"):
        load_filters(load_config(folder / "mailward.yaml"))
