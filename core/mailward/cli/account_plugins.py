"""`mailward account <plugin> ...`: the commands about one account that plugins bring."""

import asyncio
import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperGroup

from mailward.api import AccountCommand, CommandAnswer, CommandFailed
from mailward.app.config import Config
from mailward.app.filters import Filters, load_filters
from mailward.app.judging import PluginServices
from mailward.cli.options import AddressArgument, ConfigOption, JsonOption, account_of, config_of
from mailward.cli.output import CONFIGURATION, SOFTWARE, fail, show
from mailward.cli.plugin_commands import plugin_commands, sound
from mailward.cli.plugin_group import Members
from mailward.directory import Account
from mailward.pipeline.collecting import Collecting


def members(_: str, config: Path | None, *, presets_only: bool) -> Members:
    """plugin -> its commands. config, presets_only: as for `plugin_commands`."""
    found = plugin_commands(config, presets_only=presets_only)
    own = [(one, [command for command in one.values if isinstance(command, AccountCommand)]) for one in found]
    return {one.plugin: _group(one.plugin, one.summary, commands) for one, commands in own if commands}


def _group(plugin: str, summary: str, commands: Iterable[AccountCommand]) -> TyperGroup:
    app = typer.Typer(
        name=plugin,
        help=f"{summary.rstrip('.')}.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
    )
    app.callback()(lambda: None)
    for command in commands:
        app.command(command.name, help=command.help)(_function(plugin, command))
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return group


def _function(plugin: str, command: AccountCommand) -> Any:
    """A function with the parameters that typer should read."""

    def call(address: str, config: Path | None, as_json: bool, **arguments: str) -> None:
        _call(config_of(config), plugin, command.name, address, arguments, as_json=as_json)

    own = {name: Annotated[str, typer.Argument(help=text)] for name, text in command.arguments.items()}
    annotations: dict[str, Any] = {"address": AddressArgument, **own, "config": ConfigOption, "as_json": JsonOption}
    defaults = {"config": None, "as_json": False}
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name, inspect.Parameter.empty), annotation=annotation
            )
            for name, annotation in annotations.items()
        ]
    )
    call.__annotations__ = annotations
    return call


def _call(config: Config, plugin: str, name: str, address: str, arguments: Mapping[str, str], *, as_json: bool) -> None:
    account = account_of(config, address)
    services = PluginServices(config)
    try:
        answer = asyncio.run(_answer(load_filters(config), services, plugin, name, account, arguments))
    except CommandFailed as error:
        fail(str(error), SOFTWARE)
    finally:
        services.close()
    show(answer.text, dict(answer.data), as_json=as_json)


async def _answer(
    filters: Filters, services: PluginServices, plugin: str, name: str, account: Account, arguments: Mapping[str, str]
) -> CommandAnswer:
    collecting = Collecting(filters.policies, filters.host, services.of)
    for one in sound(await collecting.commands()):
        for command in one.values:
            if isinstance(command, AccountCommand) and (one.plugin, command.name) == (plugin, name):
                return await collecting.run(plugin, command, account.id, account.address, arguments)
    fail(f"no policy enables the plugin '{plugin}' with a command '{name}'", CONFIGURATION)
