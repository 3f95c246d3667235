"""`mailward scan`: the whole chain on a file, without a server; nothing is stored or delivered."""

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from mailward.app.alone import config_of_nothing, filters_alone
from mailward.app.config import SMTP_PROTOCOLS, Config
from mailward.app.scanning import ScanInput, Scanned, scan
from mailward.cli.decisions import record_as_json, record_as_text
from mailward.cli.options import ConfigOption, JsonOption, config_of, listener_of, parsed_address, parsed_ip
from mailward.cli.output import USAGE, fail, show
from mailward.cli.reading import message_file
from mailward.cli.scoped import identity_of
from mailward.model.address import NULL_REVERSE_PATH, ForwardPath, ReversePath
from mailward.model.errors import ConfigError
from mailward.model.session import Role
from mailward.model.verdict import Verdict

EXIT_CODES = {Verdict.REJECT: 1, Verdict.QUARANTINE: 2, Verdict.TEMPFAIL: 3}


def scan_command(
    file: Annotated[str, typer.Argument(help="A message (.eml); '-' reads standard input.")],
    ip: Annotated[str | None, typer.Option(help="The address it came from.")] = None,
    helo: Annotated[str | None, typer.Option(help="The name given in EHLO.")] = None,
    mail_from: Annotated[str | None, typer.Option(help="The reverse-path; '<>' for the null one.")] = None,
    rcpt: Annotated[list[str] | None, typer.Option(help="A recipient; may be given several times.")] = None,
    listener: Annotated[str | None, typer.Option(help="The listener it came by; one for submission means that policy.")] = None,
    identity: Annotated[str | None, typer.Option(help="The account that submits it, under the policy for submission.")] = None,
    plugin: Annotated[
        str | None, typer.Option(help="Run this plugin alone, whatever the policy says: a name, or a file to drop in.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run all filters on a message and print who said what.

    That is all that the policy enables; what it makes of their findings is printed too.

    With --plugin only that filter is run and those it needs, with the settings that the policy gives them if it names them.
    That works without a server and without a configuration, too.

    Filters read what the server keeps for them; what they write is gone afterwards, so that no scan knows of another.

    Exits 0 for accept and junk, 1 reject, 2 quarantine, 3 tempfail; of several recipients' verdicts the strongest counts.

    Examples:

      mailward scan message.eml

      mailward scan message.eml --ip 203.0.113.7 --helo mail.example.net --mail-from a@example.net --rcpt bob@example.org

      mailward scan message.eml --identity alice@example.org --mail-from alice@example.org --rcpt bob@example.net

      mailward scan message.eml --plugin acme_dlp
    """
    if plugin is not None and (listener is not None or identity is not None):
        fail("--listener and --identity say which policy judges; with --plugin there is none", USAGE)
    octets = message_file(file)
    given = ScanInput(
        octets=octets,
        ip="127.0.0.1" if ip is None else parsed_ip("--ip", ip),
        helo=helo,
        reverse_path=_reverse_path(mail_from),
        forward_paths=tuple(_forward_path(address) for address in rcpt or ()),
    )
    if plugin is None:
        settings = config_of(config)
        role, given = _by_listener(settings, given, listener, identity)
        result = asyncio.run(scan(settings, given, role=role))
    else:
        with _config_if_any(config) as settings:
            result = asyncio.run(scan(settings, given, filters_alone(settings, plugin)))
    flags = (("--ip", ip), ("--helo", helo), ("--mail-from", mail_from), ("--rcpt", rcpt))
    missing = [name for name, value in flags if value is None]
    show(lambda: _text(result, missing), record_as_json(result.record), as_json=as_json)
    raise typer.Exit(EXIT_CODES.get(result.strongest, 0))


def _by_listener(config: Config, given: ScanInput, name: str | None, account: str | None) -> tuple[Role, ScanInput]:
    """Whose policy judges it, and what else is known of it then."""
    listener = None if name is None else listener_of(config, name)
    protocol = listener.protocol if listener is not None else "smtp" if account is None else "submission"
    if protocol not in (SMTP_PROTOCOLS if account is None else ("submission",)):
        fail(f"--listener: {'no mail comes' if account is None else 'no user sends mail'} by '{name}'", USAGE)
    role = Role.SUBMISSION if protocol == "submission" else Role.MX
    identity = None if account is None else identity_of(config, account)
    return role, replace(given, identity=identity, listener=name or given.listener, lmtp=protocol == "lmtp")


@contextlib.contextmanager
def _config_if_any(given: Path | None) -> Iterator[Config]:
    """The server's, or that of none where there is none."""
    try:
        config = config_of(given)
    except ConfigError:
        if given is not None:
            raise
        with tempfile.TemporaryDirectory() as folder:
            yield config_of_nothing(Path(folder))
    else:
        yield config


def _text(result: Scanned, missing: list[str]) -> str:
    text = record_as_text(result.record)
    return f"{text}\n\n  Not given: {', '.join(missing)}" if missing else text


def _reverse_path(text: str | None) -> ReversePath:
    return ReversePath(parsed_address(text)) if text and text != "<>" else NULL_REVERSE_PATH


def _forward_path(text: str) -> ForwardPath:
    return ForwardPath(parsed_address(text))
