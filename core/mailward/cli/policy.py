"""`mailward policy`: check it, test it, see it as it holds; what its shadow, or another policy, would have
changed is in `policy_shadow` and `policy_replay`."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
import yaml

from mailward.app.filters import load_filters, policy_file
from mailward.app.readiness import warnings_of
from mailward.app.scanning import live_tests
from mailward.cli.options import ConfigOption, JsonOption, config_of
from mailward.cli.output import USAGE, fail, show, table
from mailward.cli.policy_replay import replay_command
from mailward.cli.policy_rule import explain_rule_command
from mailward.cli.policy_shadow import shadow_command
from mailward.cli.policy_versions import diff_command, history_command, rollback_command
from mailward.cli.scoped import Asked, ForOption, IdentityOption, IpOption, ListenerOption, SenderOption, asked_about
from mailward.policy import DIRECTIONS, RULES, PluginPolicy, Policy, Rule
from mailward.policy.presets import folder as preset_folder

app = typer.Typer(help="The policy: check it, test it, see it as it holds.", no_args_is_help=True)
app.command("shadow")(shadow_command)
app.command("replay")(replay_command)
app.command("explain-rule")(explain_rule_command)
app.command("history")(history_command)
app.command("diff")(diff_command)
app.command("rollback")(rollback_command)


@app.command("check")
def check_command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Read all policies and print every mistake. They are read as the server would, and each mistake is told with file, line
    and column.

    Their `given:` tests are part of them. A direction without a file has its preset. Exits 78 when there is a mistake.

    Example: mailward policy check
    """
    settings = config_of(config)
    filters = load_filters(settings)
    lines = []
    data = []
    for policy in filters.policies.values():
        given = sum(not test.live for test in policy.tests)
        live = len(policy.tests) - given
        lines.append(f"{policy.direction}: sound; policy {policy.hash}, {len(policy.plugins)} plugins{_tests(given, live)}")
        if policy.in_shadow:
            lines.append(f"  {_shadow(policy)}")
        warnings = list(warnings_of(settings, policy))
        lines += [f"warning: {text}" for text in warnings]
        data.append(
            {
                "direction": policy.direction,
                "hash": policy.hash,
                "tests_passed": given,
                "tests_live": live,
                "in_shadow": policy.in_shadow,
                "warnings": warnings,
            }
        )
    show("\n".join(lines), data, as_json=as_json)


def _shadow(policy: Policy) -> str:
    return f"in shadow: {', '.join(policy.in_shadow)}"


def _tests(given: int, live: int) -> str:
    passed = [f"{given} test{'s' if given > 1 else ''} passed"] if given else []
    waiting = [f"{live} live test{'s' if live > 1 else ''}: run mailward policy test"] if live else []
    return "".join(f", {part}" for part in (*passed, *waiting))


@app.command("test")
def test_command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Run all tests of all policies. The live ones go through the plugins, too. Exits 1 when one fails.

    Example: mailward policy test
    """
    settings = config_of(config)
    filters = load_filters(settings)
    results = [result for policy in filters.policies.values() for result in policy.run_tests()]
    results += asyncio.run(live_tests(settings, filters))
    lines = []
    for result in results:
        lines.append(f"{'passed' if result.passed else 'FAILED'}  {result.test.name}  ({result.test.where})")
        lines += [f"        {text}" for text in result.differences]
    failed = sum(not result.passed for result in results)
    lines.append(f"{len(results) - failed} passed, {failed} failed")
    if failed:
        lines += [f"  {policy.direction}: {_shadow(policy)}" for policy in filters.policies.values() if policy.in_shadow]
    data = [{"name": r.test.name, "where": r.test.where, "passed": r.passed, "differences": list(r.differences)} for r in results]
    show("\n".join(lines), data, as_json=as_json)
    if failed:
        raise typer.Exit(1)


@app.command("show")
def show_command(
    effective: Annotated[bool, typer.Option("--effective", help="With the preset merged in, as it holds.")] = False,
    recipient: ForOption = None,
    sender: SenderOption = None,
    ip: IpOption = None,
    listener: ListenerOption = None,
    identity: IdentityOption = None,
    direction: Annotated[str, typer.Option(help="inbound, submission, outbound or access.")] = "inbound",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the policy file, or all that holds. With --effective preset and overrides are merged. Without a file the preset
    holds.

    Of overrides and canaries those hold whose `for:` fits the recipient, the sender, the client's address, the listener and the
    account that are given; of the others it is said what keeps them. `heed` beside a plugin: the verdicts it asks for count.

    Examples:

      mailward policy show

      mailward policy show --effective --for bob@example.org

      mailward policy show --effective --for bob@example.org --ip 192.0.2.7 --sender a@example.net

      mailward policy show --direction access
    """
    known = next((one for one in DIRECTIONS if one == direction), None)
    if known is None:
        fail(f"there is no direction '{direction}'; one of {', '.join(DIRECTIONS)}", USAGE)
    settings = config_of(config)
    path = policy_file(settings, known)
    asked = asked_about(settings, known, recipient, sender, ip, listener, identity)
    if path.exists() and not effective and not asked.words:
        text = path.read_text(encoding="utf-8")
        show(text, yaml.safe_load(text), as_json=as_json)
        return
    policy = load_filters(settings).policies[known].side_of(asked.origin, asked.recipient, None)
    show(lambda: _text(policy, asked, path), _data(policy, asked), as_json=as_json)


def _text(policy: Policy, asked: Asked, path: Path) -> str:
    view = policy.view(asked.origin, asked.recipient)
    file = path if path.exists() else f"no {path}"
    who = f" {asked.words}" if asked.words else ""
    lines = [f"{policy.direction}{who}, policy {policy.hash} ({file}; presets in {preset_folder()})", "", "plugins:"]
    rows = []
    for name, entry in policy.plugins.items():
        notes = f"timeout {entry.timeout_s:g} s, on_error {entry.on_error.value}{', heed' if entry.heed else ''}"
        rows.append((f"  {name}", _mode(entry), notes, entry.where))
    lines.append(table(rows) or "  none")
    if not RULES[policy.direction].stages:
        return "\n".join(lines)
    lines += ["", "rules, the first that matches decides:"]
    lines.append(table([(f"  {r.name}", _then(r), r.when.source, r.where) for r in view.rules]) or "  none")
    lines += ["", "limits on the score:"]
    lines.append(
        table([(f"  {limit.verdict.value}", f"from {limit.points:g}", limit.where) for limit in view.limits]) or "  none"
    )
    if policy.overrides:
        rows = []
        for override, failing in zip(policy.overrides, _failing(policy, asked), strict=True):
            holds = f"does not hold: {', '.join(failing)}" if failing else "holds"
            rows.append((f"  {override.name}", holds, str(override.scope), override.where))
        lines += ["", "overrides:", table(rows)]
    return "\n".join(lines)


def _failing(policy: Policy, asked: Asked) -> list[tuple[str, ...]]:
    """Of each override the keys of its `for:` that keep it from holding."""
    return [policy.override_scopes.failing(place, asked.origin, asked.recipient) for place in range(len(policy.overrides))]


def _mode(entry: PluginPolicy) -> str:
    if entry.canary is None:
        return entry.mode
    return f"enforce, as a {entry.canary}" if entry.counts else str(entry.canary)


def _then(rule: Rule) -> str:
    text = rule.then.value if rule.then is not None else "adds only"
    if rule.canary is not None:
        return f"{text} ({rule.canary}{'' if rule.shadow else ', which this is'})"
    return f"{text} (shadow)" if rule.shadow else text


def _data(policy: Policy, asked: Asked) -> dict[str, object]:
    view = policy.view(asked.origin, asked.recipient)
    return {
        "direction": policy.direction,
        "hash": policy.hash,
        "plugins": {
            name: {"mode": e.mode, "timeout_s": e.timeout_s, "on_error": e.on_error.value, "heed": e.heed, "where": e.where}
            for name, e in policy.plugins.items()
        },
        "rules": [{"name": r.name, "then": _then(r), "when": r.when.source, "where": r.where} for r in view.rules],
        "limits": {limit.verdict.value: {"points": limit.points, "where": limit.where} for limit in view.limits},
        "overrides": list(view.overrides),
        "overrides_kept_by": {
            one.name: list(failing) for one, failing in zip(policy.overrides, _failing(policy, asked), strict=True) if failing
        },
    }
