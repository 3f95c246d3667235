"""`mailward account <plugin> ...`: the commands about one account that plugins bring."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import typer.main
from typer.core import TyperGroup

from mailward.api import AccountCommand, CommandAnswer, CommandFailed
from mailward.app.config import Config
from mailward.app.filters import load_filters
from mailward.app.judging import PluginServices
from mailward.cli.options import AddressArgument, ConfigOption, JsonOption, account_of, config_of
from mailward.cli.output import CONFIGURATION, SOFTWARE, fail, show
from mailward.cli.plugin_commands import plugin_commands, sound
from mailward.cli.plugin_group import Members
from mailward.directory import Account
from mailward.pipeline.collecting import Collecting

STATUS = "status"
"""A command of this name says what a plugin knows of an account, in `mailward account show` too."""

T = TypeVar("T")


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
    try:
        answer = _with(config, lambda collecting: _answer(collecting, plugin, name, account, arguments))
    except CommandFailed as error:
        fail(str(error), SOFTWARE)
    show(answer.text, dict(answer.data), as_json=as_json)


@dataclass(frozen=True, slots=True)
class Status:
    """What the command `status` of a plugin says of an account."""

    plugin: str
    text: str
    data: Mapping[str, object]


def statuses(config: Config, account: Account) -> list[Status]:
    """Of every plugin that has one. One that fails says why, and hides nothing of the others."""
    return _with(config, lambda collecting: _statuses(collecting, account))


async def _statuses(collecting: Collecting, account: Account) -> list[Status]:
    found = []
    for plugin, command in await _commands(collecting):
        if command.name == STATUS and not command.arguments:
            try:
                answer = await collecting.run(plugin, command, account.id, account.address, {})
            except CommandFailed as error:
                answer = CommandAnswer(str(error), {"problem": str(error)})
            found.append(Status(plugin, answer.text, dict(answer.data)))
    return found


async def _answer(
    collecting: Collecting, plugin: str, name: str, account: Account, arguments: Mapping[str, str]
) -> CommandAnswer:
    for one, command in await _commands(collecting):
        if (one, command.name) == (plugin, name):
            return await collecting.run(plugin, command, account.id, account.address, arguments)
    fail(f"no policy enables the plugin '{plugin}' with a command '{name}'", CONFIGURATION)


async def _commands(collecting: Collecting) -> list[tuple[str, AccountCommand]]:
    """All that can be asked, each with its plugin."""
    found = sound(await collecting.commands())
    return [(one.plugin, command) for one in found for command in one.values if isinstance(command, AccountCommand)]


def _with(config: Config, work: Callable[[Collecting], Coroutine[None, None, T]]) -> T:
    """With the plugins of the configuration, and their services."""
    services = PluginServices(config)
    try:
        filters = load_filters(config)
        return asyncio.run(work(Collecting(filters.policies, filters.host, services.of)))
    finally:
        services.close()
