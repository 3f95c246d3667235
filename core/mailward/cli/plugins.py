"""`mailward plugins`: what is installed, what it finds, and a start for one's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mailward.app.filters import Known, known_plugin, known_plugins
from mailward.app.scaffold import ScaffoldError, render_template
from mailward.cli.options import ConfigOption, JsonOption, config_of
from mailward.cli.output import CONFIGURATION, NO_INPUT, USAGE, fail, show, table
from mailward.policy import Direction

app = typer.Typer(help="Filters: those installed, what they find, one of your own.", no_args_is_help=True)


@app.command("list")
def list_command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print every plugin there is, and which policies enable it. Plugins are bundled, installed by pip or dropped in.

    Exits 78 when a policy is wrong, since it is not known then what it enables.

    Example: mailward plugins list
    """
    found, wrong = known_plugins(config_of(config))
    rows = [(k.name, _modes(k, wrong), k.origin, k.problem or k.plugin.summary if k.plugin else k.problem) for k in found]
    show(table(rows), [_data(k) for k in found], as_json=as_json)
    _complain(wrong)


@app.command("info")
def info_command(
    name: Annotated[str, typer.Argument(help="A name from `mailward plugins list`.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what a plugin finds, and what can be set. Its symbols, facts and settings are shown with their meanings, its hooks,
    and what it may do (its capabilities).

    Example: mailward plugins info spf
    """
    known, wrong = known_plugin(config_of(config), name)
    if known is None:
        fail(f"there is no plugin '{name}'; mailward plugins list shows them", NO_INPUT)
    show(lambda: _text(known, wrong), _data(known), as_json=as_json)
    _complain(wrong)


def _complain(wrong: Sequence[Direction]) -> None:
    """End the command when policies could not be read."""
    if wrong:
        which = f"policy {wrong[0]} is wrong" if len(wrong) == 1 else f"policies {', '.join(wrong)} are wrong"
        fail(f"{which}, so it is not known which plugins it enables; run: mailward policy check", CONFIGURATION)


def _modes(known: Known, wrong: Sequence[Direction]) -> str:
    """ "inbound, submission"; what does not simply count says so: "inbound (shadow)"."""
    shown = [direction if mode == "enforce" else f"{direction} ({mode})" for direction, mode in known.modes.items()]
    return ", ".join(shown) or ("not known" if wrong else "not enabled")


def _text(known: Known, wrong: Sequence[Direction]) -> str:
    if known.plugin is None:
        return f"{known.name}: {known.problem}"
    lines = [f"{known.name}  ({_modes(known, wrong)}, {known.origin})", f"  {known.plugin.summary}"]
    if known.problem:
        lines.append(f"  problem: {known.problem}")
    lines += ["", "symbols (default points):"]
    lines.append(
        table([(f"  {name}", f"{s.points:+.1f}", s.description) for name, s in known.plugin.symbols.items()]) or "  none"
    )
    lines += ["", "facts (in conditions):"]
    lines.append(table([(f"  {known.name}.{fact.name}", fact.kind, fact.meaning) for fact in known.facts]))
    lines += ["", "settings (under `plugins:`):"]
    lines.append(table([(f"  {setting.name}", setting.kind, setting.meaning) for setting in known.settings]) or "  none")
    lines += ["", f"hooks: {', '.join(known.hooks)}"]
    lines.append(f"capabilities: {', '.join(known.plugin.capabilities) or 'none'}")
    lines.append(f"version: {known.version}")
    lines.append(f"isolation: {'process in ' + ', '.join(known.isolated) if known.isolated else 'none'}")
    return "\n".join(lines)


def _data(known: Known) -> dict[str, object]:
    plugin = known.plugin
    return {
        "name": known.name,
        "modes": dict(known.modes),
        "origin": known.origin,
        "problem": known.problem,
        "summary": plugin.summary if plugin else "",
        "symbols": {n: {"points": s.points, "description": s.description} for n, s in plugin.symbols.items()} if plugin else {},
        "facts": {fact.name: {"type": fact.kind, "meaning": fact.meaning} for fact in known.facts},
        "settings": {setting.name: {"default": setting.kind, "meaning": setting.meaning} for setting in known.settings},
        "hooks": list(known.hooks),
        "capabilities": list(plugin.capabilities) if plugin else [],
        "version": known.version,
        "isolated": list(known.isolated),
    }


@app.command("new")
def new_command(
    name: Annotated[str, typer.Argument(help="The plugin's name: acme_dlp, or acme-dlp for the package.")],
    drop_in: Annotated[bool, typer.Option("--drop-in", help="One file instead of a pip package.")] = False,
    target: Annotated[Path, typer.Option(help="The folder to write into.")] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Write a new plugin to start from. It has one hook and its tests, and is a pip package, or one file.

    Examples:

      mailward plugins new acme-dlp

      mailward plugins new acme_dlp --drop-in --target run/plugins
    """
    try:
        written = render_template(name, target, drop_in=drop_in)
    except ScaffoldError as error:
        fail(str(error), USAGE)
    show("\n".join(str(path) for path in written), [str(path) for path in written], as_json=as_json)
