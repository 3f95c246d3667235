"""Groups of commands with members that plugins bring; nothing of them is loaded before somebody asks for one."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from typer.core import TyperCommand, TyperGroup

PRESETS_ONLY = "mailward.presets_only"
"""In a context's `meta`: no configuration is looked for, so that the page of all commands is the same everywhere."""

_CONFIG = "mailward.config"

Members = Mapping[str, TyperCommand | TyperGroup]


class PluginGroup(TyperGroup):
    """Asks for the plugins' commands when a name is not one of its own, or when all are listed.

    source: the module here whose `members` makes them: plugins and policies are slow to import.
    """

    source: ClassVar[str]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Looks ahead for -c: it says which plugins there are, and stands behind the command."""
        ctx.meta[_CONFIG] = _named_config(args)
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *(name for name in self._added(ctx) if name not in self.commands)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return super().get_command(ctx, cmd_name) or self._added(ctx).get(cmd_name)

    def _added(self, ctx: Any) -> Members:
        """Made once a context."""
        key = f"{__name__}.{self.name}"
        found: Members | None = ctx.meta.get(key)
        if found is None:
            members = import_module(f"mailward.cli.{self.source}").members
            found = members(self.name, ctx.meta.get(_CONFIG), presets_only=bool(ctx.meta.get(PRESETS_ONLY)))
            ctx.meta[key] = found
        return found


class AccountGroup(PluginGroup):
    """`mailward account`: each plugin has a group of its own there."""

    source = "account_plugins"


class ServerGroup(PluginGroup):
    """A group of the server's in which plugins' commands stand beside its own."""

    source = "server_plugins"


def _named_config(args: list[str]) -> Path | None:
    for index, word in enumerate(args):
        if word in ("-c", "--config") and index + 1 < len(args):
            return Path(args[index + 1])
        if word.startswith("--config="):
            return Path(word.removeprefix("--config="))
    return None
