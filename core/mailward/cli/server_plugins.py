"""Commands of plugins in the server's own groups, such as `mailward tls forecast`; asked for as those of accounts are."""

import asyncio
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperCommand

from mailward.api import CommandAnswer, CommandFailed, CommandOption, ServerCommand
from mailward.app.filters import load_filters
from mailward.app.judging import PluginServices
from mailward.cli.options import ConfigOption, JsonOption, config_of, duration_of, parsed_domain
from mailward.cli.output import CONFIGURATION, SOFTWARE, fail, show
from mailward.cli.plugin_commands import plugin_commands, sound
from mailward.cli.plugin_group import Members
from mailward.pipeline.collecting import Collecting


def members(group: str, config: Path | None, *, presets_only: bool) -> Members:
    """Name -> command. config, presets_only: as for `plugin_commands`."""
    return {
        command.name: _command(one.plugin, command)
        for one in plugin_commands(config, presets_only=presets_only)
        for command in one.values
        if isinstance(command, ServerCommand) and command.group == group
    }


def _command(plugin: str, command: ServerCommand) -> TyperCommand:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(command.name, help=command.help)(_function(plugin, command))
    made = typer.main.get_command(app)
    assert isinstance(made, TyperCommand)
    return made


def _function(plugin: str, command: ServerCommand) -> Any:
    """A function with the parameters that typer should read."""

    def call(config: Path | None, as_json: bool, **options: str | None) -> None:
        given = {name: _checked(command.options[name], text) for name, text in options.items() if text is not None}
        _call(config, plugin, command, given, as_json=as_json)

    annotations: dict[str, Any] = {}
    defaults: dict[str, Any] = {"config": None, "as_json": False}
    for name, option in command.options.items():
        annotations[name] = Annotated[str if option.required else str | None, typer.Option(help=option.help)]
        defaults[name] = inspect.Parameter.empty if option.required else None
    annotations |= {"config": ConfigOption, "as_json": JsonOption}
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=annotation)
            for name, annotation in annotations.items()
        ]
    )
    call.__annotations__ = annotations
    return call


def _checked(option: CommandOption, text: str) -> str:
    if option.kind == "domain":
        return parsed_domain(text)
    duration_of(text)
    return text


def _call(path: Path | None, plugin: str, command: ServerCommand, options: Mapping[str, str], *, as_json: bool) -> None:
    config = config_of(path)
    services = PluginServices(config)
    try:
        filters = load_filters(config)
        collecting = Collecting(filters.policies, filters.host, services.of)
        answer = asyncio.run(_answer(collecting, plugin, command, options))
    except CommandFailed as error:
        fail(str(error), SOFTWARE)
    finally:
        services.close()
    show(answer.text, dict(answer.data), as_json=as_json)
    if answer.exit_code:
        raise typer.Exit(answer.exit_code)


async def _answer(collecting: Collecting, plugin: str, command: ServerCommand, options: Mapping[str, str]) -> CommandAnswer:
    """The command as the configuration has it that was named, which may be another one than the help came from."""
    for one in sound(await collecting.commands()):
        for found in one.values:
            if one.plugin != plugin or not isinstance(found, ServerCommand):
                continue
            if (found.group, found.name) == (command.group, command.name):
                return await collecting.run_server(plugin, found, options)
    fail(f"no policy enables the plugin '{plugin}' with a command '{command.name}'", CONFIGURATION)
