"""`mailward policy history`, `diff` and `rollback`: the policies that were in force, what differs, and back to one of them."""

import difflib
import itertools
import signal
import stat
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated

import typer

from mailward.app.config import Config
from mailward.app.filters import policy_at, policy_file
from mailward.app.serving import signal_server
from mailward.cli.changes import file_hash
from mailward.cli.options import ConfigOption, JsonOption, YesOption, config_of
from mailward.cli.output import NO_INPUT, USAGE, confirm, fail, moment, show, table
from mailward.decisions.versions import PolicyVersion, PolicyVersions
from mailward.disk import Disk
from mailward.policy import DIRECTIONS, Direction

DirectionOption = Annotated[str, typer.Option(help="inbound, submission, outbound or access.")]
_SHORTEST = 3
"""Characters of a hash that may stand for it."""


def history_command(direction: DirectionOption = "inbound", config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List the policies that have been in force, newest first. With each stands what it changed in the file.

    Every version that the server has loaded is kept. `explain` names the policy of each decision by its hash. A list that
    changes gives the policy another hash, though it is no version of its own: mailward list show NAME --changes tells of those in
    the database.

    Example: mailward policy history
    """
    settings, wanted = config_of(config), _direction(direction)
    versions = _versions(settings, wanted)
    in_force = file_hash(settings, wanted)
    rows, data = [], []
    for version, before in zip(versions, [*versions[1:], None], strict=True):
        added, removed = _counted(before.file if before else b"", version.file)
        note = "the preset alone" if not version.file else f"+{added} -{removed} lines"
        if before is not None and before.file == version.file:
            note = "the same file; a list or its preset has changed"
        mark = "as the file is now" if version.hash == in_force else ""
        rows.append((version.hash, moment(version.loaded_at), note, mark))
        data.append(
            {"hash": version.hash, "loaded_at": version.loaded_at, "lines_added": added, "lines_removed": removed,
             "is_file": version.hash == in_force}
        )  # fmt: skip
    show(table(rows) or f"no {wanted} policy has been loaded by a server yet", data, as_json=as_json)


def diff_command(
    old: Annotated[str, typer.Argument(help="A hash of the history, or a file.")],
    new: Annotated[str | None, typer.Argument(help="The same; else the file as it is now.")] = None,
    direction: DirectionOption = "inbound",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what differs between two policy files, as diff -u. Exits 0 when nothing does and 1 when something does.

    Examples:

      mailward policy diff 8c1f0e2

      mailward policy diff 8c1f0e2 5d01b7c

      mailward policy diff policies/inbound.yaml new/inbound.yaml
    """
    settings, wanted = config_of(config), _direction(direction)
    versions = _versions(settings, wanted)
    before, after = _text(settings, wanted, versions, old), _text(settings, wanted, versions, new)
    names = old, new or str(policy_file(settings, wanted))
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), *names, lineterm=""))
    show("\n".join(lines) or "no difference", {"differs": bool(lines), "diff": lines}, as_json=as_json)
    if lines:
        raise typer.Exit(1)


def rollback_command(
    hash: Annotated[str, typer.Argument(help="Of a version in the history.")],
    direction: DirectionOption = "inbound",
    yes: YesOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an earlier policy the file again. A running server reads it at once.

    It is checked first and its tests run: a version that cannot be used any more changes nothing. What the file holds now is kept
    beside it as FILE.before-rollback.

    Example: mailward policy rollback 8c1f0e2
    """
    settings, wanted = config_of(config), _direction(direction)
    versions = _versions(settings, wanted)
    version = _found(versions, hash)
    file = policy_file(settings, wanted)
    if not version.file:
        fail(f"then the preset alone held; to go back to it remove {file} and run mailward reload", USAGE)
    now = _now(file)
    if now == version.file:
        fail(f"{file} is that version already; mailward reload lets the server read it", USAGE)
    added, removed = _counted(now, version.file)
    confirm(f"{file} becomes the policy of {moment(version.loaded_at)} (+{added} -{removed} lines). Go on?", yes=yes)
    kept = _free_name(file)
    try:
        _check(settings, wanted, file, version)
        mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else 0o600
        if now:
            _write(kept, now, mode)
        _write(file, version.file, mode)
    except OSError as error:
        fail(f"cannot write {error.filename}: {error.strerror}; {file} is as it was", NO_INPUT)
    told = signal_server(settings, signal.SIGHUP)
    text = f"{file} is the policy of {moment(version.loaded_at)} again; what it was is in {kept}"
    more = f"; process {told} was told to reload" if told else "; no server runs here that would read it"
    show(text + more, {"file": str(file), "hash": version.hash, "kept": str(kept), "pid": told}, as_json=as_json)


def _check(settings: Config, direction: Direction, file: Path, version: PolicyVersion) -> None:
    """Can it be used today? Beside the file, since lists are named from its folder. Raises ConfigError and OSError."""
    with NamedTemporaryFile(dir=file.parent, prefix=".rollback-", suffix=".yaml") as trial:
        trial.write(version.file)
        trial.flush()
        policy_at(settings, direction, Path(trial.name), shown_as=f"{file.name} of {version.hash}")


def _write(file: Path, octets: bytes, mode: int) -> None:
    Disk().write_whole(file, [octets])
    file.chmod(mode)


def _free_name(file: Path) -> Path:
    """Beside the file, for what it holds now; nothing that was kept before is overwritten."""
    names = (file.with_name(f"{file.name}.before-rollback{number or ''}") for number in itertools.count())
    return next(name for name in names if not name.exists())


def _direction(text: str) -> Direction:
    known = next((one for one in DIRECTIONS if one == text), None)
    if known is None:
        fail(f"there is no direction '{text}'; one of {', '.join(DIRECTIONS)}", USAGE)
    return known


def _versions(config: Config, direction: Direction) -> Sequence[PolicyVersion]:
    with closing(PolicyVersions(config.versions_file)) as versions:
        return versions.of(direction)


def _found(versions: Sequence[PolicyVersion], hash: str) -> PolicyVersion:
    matching = [one for one in versions if len(hash) >= _SHORTEST and one.hash.startswith(hash.lower())]
    if not matching:
        why = "of one whose lists have changed since it was loaded nothing is kept"
        fail(f"no policy {hash} has been loaded; mailward policy history lists those that were, and {why}", NO_INPUT)
    if len({one.file for one in matching}) > 1:
        fail(f"{hash} is the beginning of several: {', '.join(one.hash for one in matching)}", USAGE)
    return matching[0]


def _text(config: Config, direction: Direction, versions: Sequence[PolicyVersion], which: str | None) -> str:
    if which is None:
        return _now(policy_file(config, direction)).decode("utf-8", "replace")
    path = Path(which)
    if path.is_file():
        return _now(path).decode("utf-8", "replace")
    return _found(versions, which).file.decode("utf-8", "replace")


def _now(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        fail(f"cannot read {file}: {error.strerror}", NO_INPUT)


def _counted(before: bytes, after: bytes) -> tuple[int, int]:
    """Lines that came and lines that went."""
    old, new = (octets.decode("utf-8", "replace").splitlines() for octets in (before, after))
    lines = list(difflib.unified_diff(old, new, lineterm="", n=0))[2:]
    return sum(line.startswith("+") for line in lines), sum(line.startswith("-") for line in lines)
