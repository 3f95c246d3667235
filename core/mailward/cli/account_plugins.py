"""`mailward account <plugin> ...`: the commands that plugins bring, shown and called like the server's own.

Which there are the configuration says, and its policies; where none can be read, the shipped presets, so that `--help` always
works.
"""

import asyncio
import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, cast

import typer
import typer.main
from typer.core import TyperGroup

from mailward.api import AccountCommand, CommandAnswer, CommandFailed, Services
from mailward.app.config import Config
from mailward.app.filters import Filters, load_filters, preset_filters
from mailward.app.judging import PluginServices
from mailward.cli.options import AddressArgument, ConfigOption, JsonOption, account_of, config_of
from mailward.cli.output import CONFIGURATION, SOFTWARE, fail, show, warn
from mailward.directory import Account
from mailward.model.errors import ConfigError
from mailward.pipeline.collecting import Collected, Collecting


def plugin_groups(config: Path | None, *, presets_only: bool) -> Mapping[str, TyperGroup]:
    """plugin -> its commands. config: the file named by -c; presets_only: no configuration is looked for."""
    filters = preset_filters() if presets_only else _filters(config)
    return {one.plugin: _group(one) for one in _sound(asyncio.run(_collecting(filters).commands())) if one.values}


def _filters(config: Path | None) -> Filters:
    try:
        return load_filters(config_of(config, quiet=True))
    except ConfigError:
        return preset_filters()  # the command itself says what is wrong, when it is called


def _collecting(filters: Filters) -> Collecting:
    """For asking which commands there are; that hook is given no services."""
    return Collecting(filters.policies, filters.host, lambda _: cast(Services, None))


def _sound(collected: Iterable[Collected[AccountCommand]]) -> Iterable[Collected[AccountCommand]]:
    for one in collected:
        if one.problem:
            warn(f"the commands of the plugin '{one.plugin}' are left out: {one.problem}")
        else:
            yield one


def _group(collected: Collected[AccountCommand]) -> TyperGroup:
    app = typer.Typer(
        name=collected.plugin,
        help=f"Commands of the plugin {collected.plugin}.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
    )
    app.callback()(lambda: None)
    for command in collected.values:
        app.command(command.name, help=command.help)(_function(collected.plugin, command))
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
    for one in _sound(await collecting.commands()):
        for command in one.values:
            if (one.plugin, command.name) == (plugin, name):
                return await collecting.run(plugin, command, account.id, account.address, arguments)
    fail(f"no policy enables the plugin '{plugin}' with a command '{name}'", CONFIGURATION)
