"""`mailward sieve`: the Sieve scripts of an account, and what one would do with the mail that is there."""

import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from mailward.app.scripts import Rehearsed, opened_account, rehearsal
from mailward.cli.options import AddressArgument, ConfigOption, JsonOption, account_of, config_of
from mailward.cli.output import NO_INPUT, USAGE, fail, show, table
from mailward.delivery.script_world import world_of
from mailward.formats.address import parse_mailbox
from mailward.formats.domains import AddressSyntaxError
from mailward.formats.message import MessageView
from mailward.formats.text import one_line
from mailward.protocol.managesieve.names import is_name
from mailward.sieve import IMAP_LANGUAGE, LANGUAGE, Outcome, Problem, ScriptError, compile_script, evaluate
from mailward.sieve.actions import Action, Discard, FileInto, Keep, Notify, Redirect, Reject, Vacation
from mailward.sieve.running import Language
from mailward.sieve.world import Nothing
from mailward.store.base import AccountStore, Script
from mailward.store.ops import ActivateScript, DeleteScript, Op, PutScript
from mailward.store.refusals import NoSuchScript, ScriptActive, StoreRefusal

_HELP = """Sieve scripts, which say where an account's mail goes.

Examples:

  mailward sieve check alice.sieve

  mailward sieve put alice@example.org main alice.sieve --activate
"""
app = typer.Typer(help=_HELP, no_args_is_help=True)
MISTAKES = 1
"""The exit code for a script that has some: the answer is no."""

_REPLY = "reply (if SPF, DMARC or a login proves the sender)"
"""What is known at delivery alone stands beside it: whether a reply goes to a forged address is not in the message."""

NameArgument = Annotated[str, typer.Argument(help="The script's name.")]
FileArgument = Annotated[str, typer.Argument(help="The script; '-' reads standard input.")]


@app.command("put")
def put_command(
    address: AddressArgument,
    name: NameArgument,
    file: FileArgument,
    activate: Annotated[bool, typer.Option("--activate", help="And make it the active one.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Store a script for an account, in place of one of that name. One with mistakes is refused, all of them are told, and
    the exit code is 1.

    Example: mailward sieve put alice@example.org main alice.sieve --activate
    """
    if not is_name(name):
        fail("the name of a script has 1 to 512 octets and no control characters", USAGE)
    text = _read(file)
    with _opened(config, address) as store:
        _apply(store, PutScript(name, text), *([ActivateScript(name)] if activate else []))
    show(f"{name} is stored{' and active' if activate else ''}", {"name": name, "active": activate}, as_json=as_json)


@app.command("get")
def get_command(address: AddressArgument, name: NameArgument, config: ConfigOption = None) -> None:
    """Print a script as it was stored.

    Example: mailward sieve get alice@example.org main > alice.sieve
    """
    with _opened(config, address) as store:
        sys.stdout.buffer.write(_script(store, name).text)


@app.command("list")
def list_command(address: AddressArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print an account's scripts. The active one is the one that mail meets.

    Example: mailward sieve list alice@example.org
    """
    with _opened(config, address) as store:
        found = store.scripts()
    rows = [(one.name, f"{len(one.text)} octets", "active" if one.is_active else "") for one in found]
    data = [{"name": one.name, "size_octets": len(one.text), "active": one.is_active} for one in found]
    show(table(rows) if rows else "no scripts", data, as_json=as_json)


@app.command("activate")
def activate_command(
    address: AddressArgument,
    name: Annotated[str, typer.Argument(help="The script's name; none: no script is active any more.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a script the one that mail meets, from now on, or none.

    Examples:

      mailward sieve activate alice@example.org main

      mailward sieve activate alice@example.org
    """
    with _opened(config, address) as store:
        _apply(store, ActivateScript(name))
    show(f"{name} is active" if name else "no script is active", {"active": name}, as_json=as_json)


@app.command("delete")
def delete_command(
    address: AddressArgument, name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Delete a script that is not active.

    Example: mailward sieve delete alice@example.org old
    """
    with _opened(config, address) as store:
        try:
            _apply(store, DeleteScript(name))
        except ScriptActive:
            fail(f"{name} is the active script; make another one active, or none: mailward sieve activate {address}", USAGE)
    show(f"{name} is gone", {"name": name}, as_json=as_json)


@app.command("check")
def check_command(
    file: FileArgument,
    imap: Annotated[bool, typer.Option("--imap", help="It is the script that IMAP commands meet.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say all that is wrong with a script, with line and column. Exits 1 when something is.

    Examples:

      mailward sieve check alice.sieve

      mailward sieve check imap.sieve --imap
    """
    problems = _problems(_octets(file), IMAP_LANGUAGE if imap else LANGUAGE)
    told = [f"{'' if file == '-' else f'{file}:'}{problem}" for problem in problems] or ["no mistakes"]
    data = [{"line": problem.place.line, "column": problem.place.column, "text": problem.text} for problem in problems]
    show("\n".join(told), {"problems": data}, as_json=as_json)
    if problems:
        raise typer.Exit(MISTAKES)


@app.command("test")
def test_command(
    file: FileArgument,
    message: Annotated[str, typer.Argument(help="A message, as an .eml file.")],
    mail_from: Annotated[str, typer.Option(help="The envelope's reverse-path; '' for the null one.")] = "sender@example.net",
    rcpt: Annotated[str, typer.Option(help="The envelope's forward-path, the owner's address.")] = "owner@example.org",
    as_json: JsonOption = False,
) -> None:
    """Say what a script would do with a message, by which line. There are no mailboxes but INBOX; nothing is sent.

    At delivery more is asked: a reply goes only to a sender whom SPF, DMARC or a login proves, and in consequence of junk
    nothing is sent.

    Examples:

      mailward sieve test alice.sieve message.eml

      mailward sieve test alice.sieve message.eml --mail-from '' --rcpt alice@example.org --json
    """
    script = _read(file)
    octets = _octets(message)
    try:
        owner = parse_mailbox(rcpt)
        sender = str(parse_mailbox(mail_from)) if mail_from else ""
    except AddressSyntaxError as error:
        fail(f"an address of the envelope cannot be used: {error}", USAGE)
    world = world_of(sender, rcpt, (owner,), Nothing(datetime.now().astimezone()))
    outcome = evaluate(compile_script(script, LANGUAGE), MessageView(octets), world)
    lines = [_words(action) for action in outcome.actions]
    if outcome.problem is not None:
        lines.append(f"went wrong: {outcome.problem}")
    show("\n".join(lines), _outcome_data(outcome), as_json=as_json)


@app.command("dry-run")
def dry_run_command(
    address: AddressArgument,
    file: Annotated[str, typer.Argument(help="The script; '-' reads standard input; none: the active one.")] = "",
    mailbox: Annotated[str, typer.Option(help="Whose messages meet it.")] = "INBOX",
    most: Annotated[int, typer.Option(min=1, help="So many messages, the newest.")] = 200,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a script would do with mail that is stored. Nothing is changed, nothing is sent.

    At delivery more is asked: a reply goes only to a sender whom SPF, DMARC or a login proves, and in consequence of junk
    nothing is sent. `mailward explain` says what was done with a message. mailward.yaml is read as it is now: `sieve_lists:` that
    were changed since the server was started are not yet the server's.

    Examples:

      mailward sieve dry-run alice@example.org alice.sieve

      mailward sieve dry-run alice@example.org --mailbox Archive --most 1000
    """
    text = _read(file) if file else b""
    settings = config_of(config)
    account = account_of(settings, address)
    with opened_account(settings, account) as store:
        if not file:
            text = _active(store).text
        try:
            found = list(rehearsal(settings, account, store, text, mailbox, most))
        except StoreRefusal as refusal:
            fail(str(refusal), NO_INPUT)
        except ScriptError as error:
            fail(_mistakes(error.problems), MISTAKES)
    show(lambda: _told(found), lambda: [_data(one) for one in found], as_json=as_json)


def _told(found: list[Rehearsed]) -> str:
    rows = [(str(one.uid), one_line(one.subject, 50), _ends(one)) for one in found]
    counts = Counter(_words(action, one.missing).partition(" by line ")[0] for one in found for action in one.outcome.actions)
    total = [f"{count} x {what}" for what, count in counts.most_common()]
    return "\n".join([table(rows), "", *total]) if rows else "no messages"


def _ends(one: Rehearsed) -> str:
    wrong = "" if one.outcome.problem is None else f" (went wrong: {one.outcome.problem})"
    return "; ".join(_words(action, one.missing) for action in one.outcome.actions) + wrong


def _words(action: Action, missing: Collection[str] = ()) -> str:
    """missing: mailboxes that are known not to be there."""
    where = f" by line {action.place.line}" if action.place.line else ""
    match action:
        case Keep():
            return f"keep{where}"
        case FileInto():
            return f"file into {action.mailbox}{', which is not there, so INBOX' if action.mailbox in missing else ''}{where}"
        case Redirect():
            return f"redirect to {action.address}{where}"
        case Discard():
            return f"discard{where}"
        case Reject():
            return f"reject{where}"
        case Vacation():
            return f"{_REPLY}{where}" if not action.withheld else f"no reply, since {action.withheld}"
        case Notify():
            return f"notify {', '.join((*action.to, *action.cc))}{where}"
    return f"{type(action).__name__.lower()}{where}"


def _data(one: Rehearsed) -> dict[str, object]:
    return {"uid": one.uid, "subject": one.subject, **_outcome_data(one.outcome, one.missing)}


def _outcome_data(outcome: Outcome, missing: Collection[str] = ()) -> dict[str, object]:
    words = [(_words(action, missing).partition(" by line ")[0], action.place.line) for action in outcome.actions]
    actions = [{"what": what, "line": line} for what, line in words]
    return {"actions": actions, "problem": str(outcome.problem) if outcome.problem else ""}


@contextmanager
def _opened(config: Path | None, address: str) -> Iterator[AccountStore]:
    settings = config_of(config)
    account = account_of(settings, address)
    with opened_account(settings, account) as store:
        yield store


def _read(file: str) -> bytes:
    """A script without mistakes."""
    text = _octets(file)
    if problems := _problems(text):
        fail(_mistakes(problems), MISTAKES)
    return text


def _octets(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        fail(f"cannot read {file}: {error.strerror}", NO_INPUT)


def _problems(script: bytes, language: Language = LANGUAGE) -> tuple[Problem, ...]:
    try:
        compile_script(script, language)
    except ScriptError as error:
        return error.problems
    return ()


def _mistakes(problems: Sequence[Problem]) -> str:
    return "\n".join(["the script has mistakes:", *(f"  {problem}" for problem in problems)])


def _apply(store: AccountStore, *ops: Op) -> None:
    """Raises ScriptActive."""
    try:
        store.apply(ops)
    except ScriptActive:
        raise
    except NoSuchScript as refusal:
        fail(str(refusal), NO_INPUT)
    except StoreRefusal as refusal:
        fail(str(refusal), USAGE)


def _script(store: AccountStore, name: str) -> Script:
    found = store.script(name)
    if found is None:
        fail(f"there is no script {name}; mailward sieve list shows them", NO_INPUT)
    return found


def _active(store: AccountStore) -> Script:
    found = store.active_script()
    if found is None:
        fail("no script is active; name a file", NO_INPUT)
    return found
