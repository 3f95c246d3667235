"""The page of all commands, made from the commands themselves: `python -m mailward.cli.reference >docs/reference/cli.md`."""

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup, TyperOption

from mailward.cli.plugin_group import PRESETS_ONLY

HEAD = """\
# Commands

Made from the commands' own help; a test compares. Commands of plugins are those of the shipped presets. Every command takes
`--help`; most take `--json` and `-c FILE`, which may stand before the command, too. Times are those of this machine; with
`--json` they are UTC.

| Exit code | Meaning |
|---|---|
| 0 | done; for `scan` and `try send`: accepted or put into Junk |
| 1 | the answer is no. `scan`, `try send`: rejected; `policy test`: a test failed; `policy diff`, `policy shadow`, \
`policy replay`, `retro --dry-run`: something differs or would be done; \
`backup verify`, `store check`: damaged; `sieve`: the script has mistakes; `domain dns --check`: something is to \
be published; `tls check`, `tls forecast`: not good enough |
| 2 | not all of it. `scan`: quarantine; `policy shadow`, `policy replay`: of some mail it cannot be said; `retro`, `import`, \
`export`, `backup`: something was not done |
| 3 | `scan` and `try send`: the sender should try again later |
| 64 | wrong usage |
| 66 | what was named is not there; a list of nothing exits 0 |
| 70 | the command failed; `import`: it was stopped and can go on |
| 75 | nothing was done, since the server or another command is at work: the same command works later |
| 78 | configuration, policy or plugin cannot be used |
"""


def page(app: typer.Typer) -> str:
    """The whole page as Markdown."""
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    context = typer.Context(root)
    context.meta[PRESETS_ONLY] = True
    return HEAD + _members("mailward", root, context)


def _members(prefix: str, group: TyperGroup, context: typer.Context) -> str:
    found = [(name, group.get_command(context, name)) for name in sorted(group.list_commands(context))]
    return "".join(
        _section(prefix, member, name, context) for name, member in found if isinstance(member, TyperCommand | TyperGroup)
    )


def _section(prefix: str, command: TyperCommand | TyperGroup, name: str, context: typer.Context) -> str:
    if command.hidden:
        return ""
    title = f"{prefix} {name}"
    if isinstance(command, TyperGroup):
        own = _described(title, command) if command.invoke_without_command else ""
        return own + _members(title, command, context)
    return _described(title, command)


def _described(title: str, command: TyperCommand | TyperGroup) -> str:
    text = "\n".join(line.rstrip() for line in (command.help or "").strip().splitlines())
    lines = [f"\n## {title}\n", text, ""]
    rows = []
    for parameter in command.params:
        if parameter.name == "help":
            continue
        if isinstance(parameter, TyperOption):
            names = ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
            needed = " (required)" if parameter.required else ""
            rows.append(f"| {names} | {(parameter.help or '').strip()}{needed} |")
        else:
            rows.append(f"| `{(parameter.name or '').upper()}` | {(getattr(parameter, 'help', '') or '').strip()} |")
    if rows:
        lines += ["| Option | Meaning |", "|---|---|", *rows, ""]
    return "\n".join(lines)


if __name__ == "__main__":
    from mailward.cli import app  # it imports its commands, this one not among them

    print(page(app), end="")
