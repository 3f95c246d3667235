"""Pigeonhole's own tests (.svtest) run unchanged: the words of `vnd.dovecot.testsuite` on top of our engine.

A file is a script whose tests look at what other scripts, or its own commands, have come to. Where results are executed, mail
goes into folders and into an outbox of this run. Settings of Dovecot mean something only where ours have the same.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mailward.formats.message import MessageView
from mailward.model.address import NULL_REVERSE_PATH, ForwardPath, ReversePath
from mailward.sieve import ScriptError, compile_script
from mailward.sieve.actions import Action, FileInto, Keep, Notify, Redirect, Reject, Vacation
from mailward.sieve.addresses import sendable
from mailward.sieve.arguments import Shape, TagRule, Takes
from mailward.sieve.endings import RunProblem, Stop
from mailward.sieve.evaluate import outcome_of
from mailward.sieve.language import LANGUAGE
from mailward.sieve.limits import LIMITS
from mailward.sieve.lists import list_name
from mailward.sieve.matching import MATCHING, check_matching, matches
from mailward.sieve.replying import notify_message, vacation_message
from mailward.sieve.running import Command, Language, Run, Script, Step, Test
from mailward.sieve.world import Envelope, Location, Nothing, Owner, World
from support.svtest_judging import spam_percent, virus

_EXTENSION = "vnd.dovecot.testsuite"
_LIST_NAME = re.compile("sieve_extlists_list/([^/]+)/name")
_TEST = re.compile(r'^\s*test\s+"', re.MULTILINE)


class _Failed(Exception):
    """A test_fail was reached."""


@dataclass
class Mail:
    """What was stored, or sent on."""

    octets: bytes
    reverse_path: str = ""
    forward_path: str = ""
    flags: tuple[str, ...] = ()


@dataclass
class Result:
    """What the tests of one file came to: the reason of each failure by the name of its test, "" where it passed."""

    tests: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> int:
        return sum(not reason for reason in self.tests.values())


@dataclass(frozen=True)
class _Outside(Nothing):
    """The mailboxes of the run, and the scripts in the folders that Pigeonhole looks in."""

    folder: Path = Path()
    mailboxes: dict[str, list[Mail]] = field(default_factory=dict)

    annotations: dict[tuple[str, str], str] = field(default_factory=dict)
    lists: dict[str, frozenset[str]] = field(default_factory=dict)

    def mailbox_exists(self, name: str) -> bool:
        return name in self.mailboxes

    def has_list(self, name: str) -> bool:
        return name in self.lists

    def first_listed(self, names: Sequence[str], values: Sequence[str]) -> str | None:
        return next((value for value in values if any(value in self.lists[name] for name in names)), None)

    def listed_addresses(self, name: str, most: int) -> list[str]:
        return sorted(self.lists[name])[:most]

    def metadata(self, mailbox: str | None, name: str) -> str | None:
        return self.annotations.get((mailbox or "", name))

    def script(self, location: Location, name: str) -> bytes | None:
        path = self.folder / ("included" if location == "personal" else "included-global") / f"{name}.sieve"
        return path.read_bytes() if path.exists() else None


class SuiteRun(Run):
    """The run of a test file: its message and envelope change on the way."""

    def __init__(self, script: Script, folder: Path) -> None:
        self.mailboxes: dict[str, list[Mail]] = {}
        self.annotations: dict[tuple[str, str], str] = {}
        self.lists: dict[str, frozenset[str]] = {}
        outside = _Outside(folder=folder, mailboxes=self.mailboxes, annotations=self.annotations, lists=self.lists)
        world = World(outside=outside)
        super().__init__(script, MessageView(b"\r\n"), world, SUITE, replace(LIMITS, actions=10_000))
        self.folder = folder
        self.config: dict[str, str] = {}
        self.scope.variables["tst.path"] = str(folder)
        self.result = Result()
        self.script: Script | None = None
        self.errors: list[str] = []
        self.outbox: list[Mail] = []

    def reset(self) -> None:
        self.actions, self.keeps, self.edited = [], True, None
        self.outbox.clear()
        self.errors.clear()


def run_file(path: Path) -> Result:
    """Run one file. A file that does not compile fails in all its tests."""
    octets = path.read_bytes()
    try:
        script = compile_script(octets, SUITE, name=path.name)
    except ScriptError as error:
        names = _TEST.findall(octets.decode("utf-8", "replace"))
        return Result({f"test {number}": f"does not compile: {error.problems[0]}" for number in range(1, len(names) + 1)})
    run = SuiteRun(script, path.parent)
    try:
        run.steps(script.steps)
    except Stop:
        pass
    except (RunProblem, _Failed) as error:
        run.result.tests["outside of tests"] = str(error)
    return run.result


def _suite(do: Callable[[SuiteRun, Step], None]) -> Callable[[Run, Step], None]:
    def done(run: Run, step: Step) -> None:
        assert isinstance(run, SuiteRun)
        do(run, step)

    return done


def _holds(holds: Callable[[SuiteRun, Step], bool]) -> Callable[[Run, Step], bool]:
    def held(run: Run, step: Step) -> bool:
        assert isinstance(run, SuiteRun)
        return holds(run, step)

    return held


def _test(run: SuiteRun, step: Step) -> None:
    name = run.text(step.string(0))
    while name in run.result.tests:
        name += "'"
    run.result.tests[name] = ""
    run.reset()
    try:
        run.steps(step.block)
    except _Failed as failed:
        run.result.tests[name] = str(failed) or "failed"
    except RunProblem as problem:
        run.result.tests[name] = f"problem: {run.problem(problem)}"


def _fail(run: SuiteRun, step: Step) -> None:
    raise _Failed(run.text(step.string(0)) + (f" (errors: {run.errors})" if run.errors else ""))


def _set(run: SuiteRun, step: Step) -> None:
    name, value = run.text(step.string(0)), run.text(step.string(1))
    envelope = run.world.envelope
    if name == "message":
        run.edited = None
        run.message = run.received = MessageView(value.encode("utf-8", "surrogateescape"))
        run.world = replace(run.world, envelope=_envelope_of(run.message))
        _judge(run)
        return
    address = sendable(value.strip("<>"))
    if name == "envelope.from":
        envelope = replace(envelope, reverse_path=ReversePath(address) if address else NULL_REVERSE_PATH)
    elif name == "envelope.to" and address:
        envelope = replace(envelope, forward_path=ForwardPath(address))
    elif name == "envelope.auth":
        envelope = replace(envelope, auth=value)
    run.world = replace(run.world, envelope=envelope)


def _judge(run: SuiteRun) -> None:
    spam, infection = spam_percent(run.config, run.received), virus(run.config, run.received)
    run.world = replace(run.world, spam_percent=spam, virus=infection)


def _envelope_of(message: MessageView) -> Envelope:
    """What Pigeonhole takes for the envelope where a test gives none: who stands in From and To."""
    sender, recipient = (next((m.address for m in message.addresses(name).mailboxes), None) for name in ("From", "To"))
    return Envelope(ReversePath(sender), ForwardPath(recipient) if recipient else None)


def _compile(run: SuiteRun, step: Step) -> bool:
    run.errors.clear()
    path = run.folder / run.text(step.string(0))
    if not path.exists():
        raise _Failed(f"there is no {path.name} among the shared tests")
    try:
        run.script = compile_script(path.read_bytes(), SUITE, name=path.stem)
    except ScriptError as error:
        run.errors += [problem.text for problem in error.problems]
        run.errors.append("validation failed")
        return False
    return True


def _script_run(run: SuiteRun, step: Step) -> bool:
    run.errors.clear()
    assert run.script is not None
    inner = SuiteRun(run.script, run.folder)
    inner.limits, inner.message, inner.received, inner.world = LIMITS, run.received, run.received, run.world
    try:
        inner.steps(run.script.steps)
    except Stop:
        pass
    except RunProblem as problem:
        run.errors.append(problem.text)
        return False
    run.actions, run.keeps, run.edited, run.flags = inner.actions, inner.keeps, inner.edited, inner.flags
    return True


def _actions(run: SuiteRun) -> tuple[Action, ...]:
    return outcome_of(run).actions


def _execute(run: SuiteRun, step: Step) -> bool:
    run.errors.clear()
    for action in _actions(run):
        _carry_out(run, action)
    return not run.errors


def _carry_out(run: SuiteRun, action: Action) -> None:
    reverse_path = run.world.envelope.reverse_path
    match action:
        case Keep(message=message, flags=flags):
            run.mailboxes.setdefault("INBOX", []).append(Mail(_octets(run, message), flags=flags))
        case FileInto(mailbox=mailbox, message=message, creates=creates, flags=flags):
            name = re.sub("^inbox", "INBOX", mailbox, flags=re.IGNORECASE)
            if creates:
                run.mailboxes.setdefault(name, [])
            if name not in run.mailboxes:
                run.errors.append(f"failed to store into mailbox '{mailbox}': Mailbox doesn't exist: {mailbox}")
            else:
                run.mailboxes[name].append(Mail(_octets(run, message), flags=flags))
        case Redirect(address=address, message=message):
            run.outbox.append(Mail(_octets(run, message), str(reverse_path), str(address)))
        case Vacation(withheld="", recipient=recipient):
            run.outbox.append(Mail(vacation_message(action, "<1@example.org>", run.world.outside.now()), "", str(recipient)))
        case Notify(withheld="", sender=sender, to=to, cc=cc):
            octets = notify_message(action, "<1@example.org>", run.world.outside.now())
            run.outbox += [Mail(octets, "" if reverse_path.is_null else sender, one) for one in (*to, *cc)]
        case Reject(reason=reason) if not reverse_path.is_null:
            run.outbox.append(Mail(f"Subject: Rejected\r\n\r\n{reason}".encode(), "", str(reverse_path)))
        case _:
            pass


def _octets(run: SuiteRun, message: MessageView | None) -> bytes:
    return bytes((message or run.received).octets)


def _config(run: SuiteRun, step: Step) -> None:
    """Of Dovecot's settings those that say what a run is given."""
    run.config[run.text(step.string(0))] = run.text(step.string(1)) if len(step.values) == 2 else ""
    address = sendable(run.config.get("sieve_user_email", ""))
    run.world = replace(run.world, owner=Owner((address,) if address else ()))
    _judge(run)
    for setting in run.config:
        if found := _LIST_NAME.fullmatch(setting):
            file = run.config.get(f"sieve_extlists_list/{found[1]}/dict/file/path", "")
            run.lists[list_name(run.config[setting]) or ""] = _listed(Path(file))


def _listed(file: Path) -> frozenset[str]:
    """A dictionary of Dovecot is lines of keys and values in turn."""
    keys = file.read_text().splitlines()[::2] if file.is_file() else []
    return frozenset(key.removeprefix("priv/sieve/extlists/") for key in keys)


def _message(run: SuiteRun, step: Step) -> bool:
    """Take a stored or sent mail for the message; False where there is none."""
    use = step.tags["source"]
    if use.name == "smtp":
        mails = run.outbox
    else:
        mails = run.mailboxes.get(run.text(use.strings[0]), [])
    if step.number(0) >= len(mails):
        return False
    mail = mails[step.number(0)]
    run.message, run.flags = MessageView(mail.octets), mail.flags
    if use.name == "smtp":
        reverse_path, forward_path = sendable(mail.reverse_path), sendable(mail.forward_path)
        envelope = Envelope(ReversePath(reverse_path), ForwardPath(forward_path) if forward_path else None)
        run.world = replace(run.world, envelope=envelope)
    return True


def _message_command(run: SuiteRun, step: Step) -> None:
    if not _message(run, step):
        raise _Failed("no such message")


def _error(run: SuiteRun, step: Step) -> bool:
    return matches(run, step, _indexed(step, run.errors), step.strings(0))


def _result_action(run: SuiteRun, step: Step) -> bool:
    names = [_NAMES.get(type(action).__name__, type(action).__name__.lower()) for action in _actions(run)]
    return matches(run, step, _indexed(step, names), step.strings(0))


_NAMES = {"FileInto": "store", "Keep": "keep"}


def _indexed(step: Step, values: list[str]) -> list[str]:
    use = step.tags.get("index")
    return values if use is None else values[use.number - 1 : use.number]


def _mailbox_create(run: SuiteRun, step: Step) -> None:
    run.mailboxes.setdefault(run.text(step.string(0)), [])


def _mailbox_delete(run: SuiteRun, step: Step) -> None:
    run.mailboxes.pop(run.text(step.string(0)), None)


def _nothing(run: SuiteRun, step: Step) -> None:
    """What means nothing to an engine without binaries and settings."""


def _reset(run: SuiteRun, step: Step) -> None:
    run.reset()
    run.message = run.received


def _multiscript(run: SuiteRun, step: Step) -> bool:
    """Scripts one after another, as long as each of them keeps the message; what they ask for is done at the end."""
    actions: list[Action] = []
    for name in run.texts(step.strings(0)):
        run.script = compile_script((run.folder / f"{name}").with_suffix(".sieve").read_bytes(), SUITE, name=name)
        if not _script_run(run, step):
            return False
        kept = [action for action in run.actions if isinstance(action, Keep)]
        actions += [action for action in run.actions if action not in kept]
        if not kept and not run.keeps:
            run.actions, run.keeps = actions, False
            return _execute(run, step)
        run.received = run.edited or run.received
    run.actions, run.keeps = actions, True
    return _execute(run, step)


def _metadata_set(run: SuiteRun, step: Step) -> None:
    mailbox = run.text(step.tags["mailbox"].strings[0]) if "mailbox" in step.tags else ""
    run.annotations[mailbox, run.text(step.string(0))] = run.text(step.string(1))


_STRING = (Takes("name", Shape.STRING),)
_TWO = (*_STRING, Takes("value", Shape.STRING))
_KEYS = (Takes("key list", Shape.STRINGS),)
_SOURCE = (TagRule("smtp", "source"), TagRule("folder", "source", Shape.STRING))
_INDEX = TagRule("index", takes=Shape.NUMBER)
_COMMANDS = (
    Command("test", _STRING, has_block=True, do=_suite(_test)),
    Command("test_fail", _STRING, do=_suite(_fail)),
    Command("test_set", _TWO, do=_suite(_set)),
    Command("test_config_set", _TWO, do=_suite(_config)),
    Command("test_config_unset", _STRING, do=_suite(_config)),
    Command("test_config_reload", (), (TagRule("extension", takes=Shape.STRING),), do=_suite(_nothing)),
    Command("test_mailbox_create", _STRING, do=_suite(_mailbox_create)),
    Command("test_mailbox_delete", _STRING, do=_suite(_mailbox_delete)),
    Command("test_imap_metadata_set", _TWO, (TagRule("mailbox", takes=Shape.STRING),), do=_suite(_metadata_set)),
    Command("test_binary_save", _STRING, do=_suite(_nothing)),
    Command("test_binary_load", _STRING, do=_suite(_nothing)),
    Command("test_result_reset", do=_suite(_reset)),
    Command("test_result_print", do=_suite(_nothing)),
    Command("test_message", (Takes("index", Shape.NUMBER),), _SOURCE, do=_suite(_message_command)),
)
_TESTS = (
    Test("test_script_compile", _STRING, holds=_holds(_compile)),
    Test("test_script_run", (), (TagRule("append_result"),), holds=_holds(_script_run)),
    Test("test_multiscript", (Takes("scripts", Shape.STRINGS),), holds=_holds(_multiscript)),
    Test("test_result_execute", holds=_holds(_execute)),
    Test("test_message", (Takes("index", Shape.NUMBER),), _SOURCE, holds=_holds(_message)),
    Test("test_error", _KEYS, (*MATCHING, _INDEX), check=check_matching, holds=_holds(_error)),
    Test("test_result_action", _KEYS, (*MATCHING, _INDEX), check=check_matching, holds=_holds(_result_action)),
)
SUITE = Language(
    {**LANGUAGE.commands, **{word.name: replace(word, extension=_EXTENSION) for word in _COMMANDS}},
    {**LANGUAGE.tests, **{word.name: replace(word, extension=_EXTENSION) for word in _TESTS}},
    LANGUAGE.extensions | {_EXTENSION},
    {**LANGUAGE.namespaces, "tst": _EXTENSION},
)
