"""`mailward backup` and `mailward restore`: copies of all that is not to be lost, and the way back."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from mailward.app.backup.restore import restore
from mailward.app.backup.snapshot import NoSnapshot, Snapshot, damage, snapshot_of, snapshots_in
from mailward.app.backup.take import take_snapshot, taking_turns
from mailward.app.config import Config
from mailward.app.config_file import find_config, load_config
from mailward.app.serving import is_served, serving_lock
from mailward.cli.moving_bar import moving_bar
from mailward.cli.options import (
    ConfigOption,
    JsonOption,
    account_of,
    cannot_write,
    config_of,
    made_for_server,
    opened_directory,
    parsed_address,
)
from mailward.cli.output import NO_INPUT, SOFTWARE, TRY_AGAIN, USAGE, fail, moment, show, table
from mailward.model.ids import AccountId

app = typer.Typer()

FolderArgument = Annotated[Path, typer.Argument(help="The folder of the backups.")]
SnapshotOption = Annotated[str | None, typer.Option("--snapshot", help="Its name, as in mailward backup list; else the last.")]

NOT_ALL = 2


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
    What could not be read is listed, and the exit code is 2 then. A folder that is there already, as a mount point is, must
    be one that the server's user can write in.

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
    with taking_turns(to), moving_bar() as progress:
        taken = take_snapshot(settings, to, accounts, is_all=only is None, is_afresh=afresh, progress=progress)
    missing = taken.manifest.missing
    text = [f"{taken.path}: {len(taken.manifest.files):,} files, the mail of {len(accounts):,} accounts"]
    text += [f"  not in it: {one}" for one in missing]
    show("\n".join(text), {**_data(taken), "missing": missing}, as_json=as_json)
    if missing:
        raise typer.Exit(NOT_ALL)


@app.command("list")
def list_command(folder: FolderArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print the snapshots in a folder.

    Example: mailward backup list /srv/backup
    """
    config_of(config)
    with _named():
        found = snapshots_in(folder)
    rows = [("SNAPSHOT", "TAKEN", "ACCOUNTS", "FILES")]
    rows += [
        (one.path.name, moment(one.manifest.made_at), f"{len(one.manifest.accounts):,}", f"{len(one.manifest.files):,}")
        for one in found
    ]
    show(table(rows) if found else "no snapshots", [_data(one) for one in found], as_json=as_json)


@app.command("verify")
def verify_command(
    folder: FolderArgument, snapshot: SnapshotOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Read a snapshot whole and compare every file with its hash. Databases are checked inside, too. Exit code 1: damaged.

    Example: mailward backup verify /srv/backup
    """
    config_of(config)
    with _named():
        found = snapshot_of(folder, snapshot)
    wrong: list[str] = []
    with moving_bar() as progress:
        for number, (name, what) in enumerate(damage(found), 1):
            progress(name, number, len(found.manifest.files))
            wrong += [what] if what else []
    text = [f"{found.path}: {len(found.manifest.files):,} files, {len(wrong):,} damaged", *(f"  {one}" for one in wrong)]
    text += [f"take one that shares no file with it: mailward backup --to {folder} --afresh"] if wrong else []
    show("\n".join(text), {**_data(found), "damaged": wrong}, as_json=as_json)
    if wrong:
        raise typer.Exit(1)


def restore_command(
    folder: FolderArgument,
    snapshot: SnapshotOption = None,
    account: Annotated[str | None, typer.Option("--account", help="Only the mail of this account, which must exist.")] = None,
    of: Annotated[
        str | None,
        typer.Option("--of", help="The id in the snapshot of an earlier account of that address, whose mail it is to be."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Set aside what is there; without it nothing may be.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put back a snapshot: everything, or the mail of one account.

    The server must be stopped.

    What was there is set aside in the data folder and named in the answer. Mailboxes that may have changed since the snapshot
    get a new UIDVALIDITY: mail programs download them anew. The configuration is not touched; its files are in the snapshot's
    folder config. An account that was removed is made anew first (account add); its mail is in the snapshot under the id it had.

    Example: mailward restore /srv/backup --account alice@example.org --replace
    """
    if of is not None and account is None:
        fail("--of goes with --account", USAGE)
    made_for_server(load_config(find_config(config)).data, config)
    settings = config_of(config)
    try:
        if is_served(settings):
            fail("the server is running; stop it first, so that nothing is delivered into what is replaced", TRY_AGAIN)
        with _named():
            found = snapshot_of(folder, snapshot)
        owner = _owner(settings, found, account, of) if account is not None else None
        with serving_lock(settings):
            aside = restore(settings, found, owner, replace=replace, of=AccountId(of) if of is not None else None)
    except OSError as error:
        fail(cannot_write(error, settings.data), SOFTWARE)
    text = f"restored from {found.path}" + (f"\nwhat was there is now in {aside}" if aside else "")
    show(text, {**_data(found), "aside": str(aside) if aside else None}, as_json=as_json)


def _owner(settings: Config, snapshot: Snapshot, text: str, of: str | None) -> AccountId:
    """The account that is to have the mail. Ends the command when it is not there, or the snapshot's is an earlier one."""
    address = str(parsed_address(text))
    earlier = [id for id, own in snapshot.manifest.accounts.items() if own.lower() == address.lower()]
    with opened_directory(settings) as directory:
        now = directory.account(parsed_address(text))
    if now is None and earlier:
        fail(
            f"{address} is nobody's mailbox here; nothing was restored. The snapshot {snapshot.path.name} holds mail of an "
            f"account of this address: mailward account add {address}, then this command with --of {earlier[-1]}",
            NO_INPUT,
        )
    found = now or account_of(settings, text)
    if of is not None and of not in earlier:
        has = f"it has {', '.join(earlier)}" if earlier else "it has none"
        fail(f"--of: the snapshot {snapshot.path.name} holds no account {of} of {address}; {has}", NO_INPUT)
    if of is None and earlier and found.id not in snapshot.manifest.accounts:
        fail(
            f"nothing was restored: the snapshot {snapshot.path.name} holds mail of an earlier {address}, which was removed "
            f"since. If it is to be the mail of today's, add --of {earlier[-1]}",
            NO_INPUT,
        )
    return found.id


@contextmanager
def _named() -> Iterator[None]:
    """Where what was named is looked up."""
    try:
        yield
    except NoSnapshot as error:
        fail(str(error), NO_INPUT)


def _data(snapshot: Snapshot) -> dict[str, object]:
    manifest = snapshot.manifest
    return {
        "snapshot": snapshot.path.name,
        "path": str(snapshot.path),
        "made_at": manifest.made_at,
        "accounts": [*manifest.accounts.values()],
        "files": len(manifest.files),
    }
