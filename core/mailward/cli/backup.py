"""`mailward backup`: copies of all that is not to be lost."""

from pathlib import Path
from typing import Annotated

import typer

from mailward.app.backup.choice import of_any_restore
from mailward.app.backup.messages import damaged_messages
from mailward.app.backup.snapshot import Snapshot, damage, snapshots_in
from mailward.app.backup.take import take_snapshot
from mailward.app.backup.turns import taking_turns
from mailward.cli.changes import number_of
from mailward.cli.moving_bar import moving_bar
from mailward.cli.options import (
    ConfigOption,
    JsonOption,
    account_of,
    config_of,
    made_for_server,
    opened_directory,
)
from mailward.cli.output import NOT_ALL, USAGE, fail, moment, show, table
from mailward.cli.snapshots import FolderArgument, data_of, refusals_told

app = typer.Typer()

SnapshotOption = Annotated[str | None, typer.Option("--snapshot", help="Only the one of this name, as in mailward backup list.")]


@app.callback(invoke_without_command=True)
def backup_command(
    context: typer.Context,
    to: Annotated[
        Path | None, typer.Option("--to", help="The folder to add a snapshot to; made for the server's user when it is missing.")
    ] = None,
    account: Annotated[str | None, typer.Option("--account", help="Only the mail of this account.")] = None,
    afresh: Annotated[
        bool, typer.Option("--afresh", help="Read everything and link to no earlier snapshot, as after one was damaged.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a snapshot while the server works.

    It holds mail, directory, quarantine, decisions, policies, keys and configuration, and is a folder of its own, named by
    the moment (UTC). What has not changed since the last is a hard link to it and takes no room. The queue is not in it.
    What could not be read is listed, and the exit code is 2 then; messages that the disk had damaged before are told so, too.
    A folder that is there already, as a mount point is, must be one that the server's user can write in.

    Example: mailward backup --to /srv/backup
    """
    if context.invoked_subcommand is not None:
        return
    if to is None:
        fail("say where to: mailward backup --to FOLDER", USAGE)
    made_for_server(to, config)
    settings = config_of(config)
    only = account_of(settings, account) if account is not None else None
    with opened_directory(settings) as directory:
        accounts = {str(one.id): str(one.address) for one in directory.accounts() if only is None or one.id == only.id}
    with refusals_told(), taking_turns(to, f"another backup is being written into {to}"), moving_bar() as progress:
        taken = take_snapshot(settings, to, accounts, is_all=only is None, is_afresh=afresh, progress=progress)
    missing = taken.manifest.missing
    text = [f"{taken.path}: {number_of('file', len(taken.manifest.files))}, the mail of {number_of('account', len(accounts))}"]
    text += [f"  not in it: {one}" for one in missing]
    show("\n".join(text), {**data_of(taken), "missing": missing}, as_json=as_json)
    if missing:
        raise typer.Exit(NOT_ALL)


@app.command("list")
def list_command(folder: FolderArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print the snapshots in a folder, and what each is of.

    Example: mailward backup list /srv/backup
    """
    config_of(config)
    with refusals_told():
        found = snapshots_in(folder)
    rows = [("SNAPSHOT", "TAKEN", "ACCOUNTS", "FILES", "OF")]
    rows += [
        (
            *(one.path.name, moment(one.manifest.made_at), f"{len(one.manifest.accounts):,}", f"{len(one.manifest.files):,}"),
            "everything" if one.manifest.is_whole else f"the mail of {', '.join(one.manifest.accounts.values())}",
        )
        for one in found
    ]
    show(table(rows) if found else "no snapshots", [data_of(one) for one in found], as_json=as_json)


@app.command("verify")
def verify_command(
    folder: FolderArgument, snapshot: SnapshotOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Read snapshots whole and compare every file with its hash. Databases and messages inside are checked. Exit code 1: damaged.

    Those are read that a restore may be from: the last of everything, and the last of each account that was taken later.

    Example: mailward backup verify /srv/backup
    """
    config_of(config)
    with refusals_told():
        chosen = of_any_restore(folder, snapshot)
    text: list[str] = []
    files: list[str] = []
    messages: list[str] = []
    for one in chosen:
        wrong, unreadable = _read(one)
        damaged = f"{number_of('file', len(one.manifest.files))}, {len(wrong):,} damaged"
        text += [f"{one.path}: {damaged}", *(f"  {what}" for what in (*wrong, *unreadable))]
        files += wrong
        messages += unreadable
    if files:
        text.append(f"take one that shares no file with it: mailward backup --to {folder} --afresh")
    if messages:
        text.append(
            "messages were damaged before they were copied; an earlier snapshot may have them. What helps: mailward store check"
        )
    data = {"snapshots": [data_of(one) for one in chosen], "damaged": files, "messages": messages}
    show("\n".join(text), data, as_json=as_json)
    if files or messages:
        raise typer.Exit(1)


def _read(snapshot: Snapshot) -> tuple[list[str], list[str]]:
    """What is wrong with its files, and with messages in those that are as they were copied."""
    wrong: dict[str, str] = {}
    with moving_bar() as progress:
        for number, (name, what) in enumerate(damage(snapshot), 1):
            progress(name, number, len(snapshot.manifest.files))
            if what:
                wrong[name] = what
    messages = [what for _, what in damaged_messages(snapshot.path, snapshot.manifest.accounts, without=wrong) if what]
    return [*wrong.values()], messages
