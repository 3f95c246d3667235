"""What is checked before a start and before a reload, and which changes a reload does not bring."""

from contextlib import closing
from pathlib import Path

import pytest

from mailward.app.certificate import self_signed
from mailward.app.config_file import load_config
from mailward.app.filters import load_filters
from mailward.app.readiness import idle_routes, ready_config, reloaded, settings_waiting, warnings_of
from mailward.directory import Directory
from mailward.model.address import Address
from mailward.model.errors import ConfigError
from support.installation import installation


def test_what_others_can_read_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    path = installation(tmp_path)
    key = tmp_path / "tls/key.pem"
    assert ready_config(path).path == path
    key.chmod(0o644)
    with pytest.raises(ConfigError, match=f"open to others; run: chmod 600 {key}"):
        ready_config(path)
    key.chmod(0o600)
    (tmp_path / "data").chmod(0o750)
    with pytest.raises(ConfigError, match="chmod 700"):
        ready_config(path)


def test_a_certificate_that_does_not_fit_its_key_is_refused(tmp_path: Path) -> None:
    path = installation(tmp_path)
    (tmp_path / "tls/certificate.pem").write_bytes(self_signed("other.example.org")[0])
    with pytest.raises(ConfigError, match="do not make a pair"):
        ready_config(path)


def test_a_wrong_policy_is_refused(tmp_path: Path) -> None:
    path = installation(tmp_path)
    (tmp_path / "policies/inbound.yaml").write_text("version: 1\nextends: mailward/inbound\nruls: []\n")
    with pytest.raises(ConfigError, match="rules"):
        ready_config(path)


def test_a_list_for_scripts_that_no_policy_has_is_refused(tmp_path: Path) -> None:
    path = installation(tmp_path)
    path.write_text(path.read_text() + "sieve_lists: {'tag:example.org,2026:p': partner}\n")
    with pytest.raises(ConfigError, match="2026:p: no policy has a list partner"):
        ready_config(path)
    (tmp_path / "policies/inbound.yaml").write_text("version: 1\nlists: {partners: {type: domain, database: true}}\n")
    with pytest.raises(ConfigError, match="there are partners"):
        ready_config(path)
    path.write_text(path.read_text().replace("partner}", "partners}"))
    assert ready_config(path).sieve_lists == {"tag:example.org,2026:p": "partners"}


def test_a_route_for_a_domain_that_is_served_here_is_named(tmp_path: Path) -> None:
    path = installation(tmp_path)
    path.write_text(path.read_text().replace("routes: {}", 'routes: {example.org: "smtp:[192.0.2.1]:25", example.net: discard}'))
    config = load_config(path)
    assert idle_routes(config) == ()
    with closing(Directory(config.directory_file)) as directory:
        directory.add_domain("example.org")
    assert idle_routes(config) == ("example.org",)


def test_settings_that_need_a_restart_are_named_and_the_others_taken_over(tmp_path: Path) -> None:
    path = installation(tmp_path)
    running = load_config(path)
    assert settings_waiting(running, load_config(path)) == ()
    text = path.read_text().replace("routes: {}", "routes: {void.example: discard}\nlimits: {connections: 7}")
    path.write_text(
        text.replace("dns: {servers: [", 'dns: {servers: ["192.0.2.53:53", ').replace("policies: policies", "policies: new")
    )
    wanted = load_config(path)
    assert settings_waiting(running, wanted) == ("dns", "routes", "limits")
    after = reloaded(running, wanted)
    assert (after.policies, after.routes, after.limits) == (tmp_path / "new", {}, running.limits)


def test_a_file_that_this_user_may_not_see_is_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = installation(tmp_path, user="mailward")

    def denied(self: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "stat", denied)
    with pytest.raises(ConfigError, match=r"certificate\.pem cannot be read by uid \d+; run this as root or as mailward"):
        load_config(path)


def test_a_canary_for_a_domain_that_is_not_ours_is_a_warning_with_the_nearest_one(tmp_path: Path) -> None:
    path = installation(tmp_path)
    people = "[finanec.example, example.org, bob@example.org, far.example, group:finance]"
    text = f"version: 1\nplugins: {{spf: {{mode: canary, for: {{recipient: {people}}}}}}}\n"
    (tmp_path / "policies/inbound.yaml").write_text(text)
    config = load_config(path)
    policy = load_filters(config).policies["inbound"]
    with closing(Directory(config.directory_file)) as directory:
        directory.add_domain("example.org")
        directory.add_domain("finance.example")
    group, far, slip = warnings_of(config, policy)
    assert "plugins.spf.for.recipient: nobody is in the group 'finance'\n    mailward group list" in group
    assert far.startswith("policies/inbound.yaml:2:31  plugins.spf.for.recipient: 'far.example' is no domain of ours")
    assert slip.endswith("Did you mean 'finance.example'?")
    config.directory_file.unlink()
    assert warnings_of(config, policy) == ()
    assert not config.directory_file.exists()


def test_a_rule_about_a_group_that_nobody_is_in_is_a_warning_with_the_nearest_one(tmp_path: Path) -> None:
    path = installation(tmp_path)
    rule = '{name: strict, when: \'"financ" in recipient.groups || "sales" in recipient.groups\', then: junk}'
    (tmp_path / "policies/inbound.yaml").write_text(f"version: 1\nrules: [{rule}]\n")
    config = load_config(path)
    with closing(Directory(config.directory_file)) as directory:
        directory.add_domain("example.org")
        bob = directory.add_account(Address("bob", "example.org"))
        for group in ("finance", "sales"):
            directory.add_to_group(group, [bob])
    (slip,) = warnings_of(config, load_filters(config).policies["inbound"])
    assert slip.startswith("policies/inbound.yaml:2:9  rules.strict: nobody is in the group 'financ'")
    assert slip.endswith("Did you mean 'finance'?")
