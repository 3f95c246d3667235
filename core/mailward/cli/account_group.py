"""`mailward account` as a group whose further members are plugins'; nothing of them is loaded before somebody asks for one."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from typer.core import TyperGroup

PRESETS_ONLY = "mailward.presets_only"
"""In a context's `meta`: no configuration is looked for, so that the page of all commands is the same everywhere."""

_CONFIG = "mailward.config"


class AccountGroup(TyperGroup):
    """Asks for the plugins' commands when a name is not one of its own, or when all are listed."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Looks ahead for -c: it says which plugins there are, and stands behind the command."""
        ctx.meta[_CONFIG] = _named_config(args)
        return super().resolve_command(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *(name for name in _groups(ctx) if name not in self.commands)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return super().get_command(ctx, cmd_name) or _groups(ctx).get(cmd_name)


def _named_config(args: list[str]) -> Path | None:
    for index, word in enumerate(args):
        if word in ("-c", "--config") and index + 1 < len(args):
            return Path(args[index + 1])
        if word.startswith("--config="):
            return Path(word.removeprefix("--config="))
    return None


def _groups(ctx: Any) -> Mapping[str, TyperGroup]:
    """plugin -> its commands, made once a context."""
    found: Mapping[str, TyperGroup] | None = ctx.meta.get(__name__)
    if found is None:
        plugin_groups = import_module("mailward.cli.account_plugins").plugin_groups  # plugins and policies: slow to import
        found = ctx.meta[__name__] = plugin_groups(ctx.meta.get(_CONFIG), presets_only=bool(ctx.meta.get(PRESETS_ONLY)))
    return found
