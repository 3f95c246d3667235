"""`mailward train`: messages whose kind a person knows, as lessons for the plugins that learn."""

import asyncio
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from mailward.api.learning import MessageClassified
from mailward.app.config import Config
from mailward.app.config_file import find_config, load_config
from mailward.app.learning import Learning
from mailward.app.mailfiles import MailReader
from mailward.cli.options import ConfigOption, JsonOption, account_of, config_of
from mailward.cli.output import CONFIGURATION, NO_INPUT, fail, show
from mailward.formats.text import one_line

_MOST_PROBLEMS = 20


class Kind(Enum):
    HAM = "ham"
    SPAM = "spam"


@dataclass(slots=True)
class _Course:
    """How it went. learners: the plugins that were told. problems: of what could not be read, the first few."""

    learners: tuple[str, ...]
    messages: int = 0
    failed: int = 0
    unreadable: int = 0
    problems: list[str] = field(default_factory=list)


def train_command(
    kind: Annotated[Kind, typer.Argument(help="What these messages are.")],
    paths: Annotated[list[Path], typer.Argument(help="Message files, mbox files, Maildirs, or folders of them.")],
    account: Annotated[str | None, typer.Option(help="Whose mail it is; nobody's in particular unless given.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Teach filters with mail that you know to be ham or spam.

    Those that learn, such as spam, are taught.     A message that was learnt before counts once; one that was learnt as the
    other kind is learnt anew. A running server heeds it at once.

    Examples:

      mailward train spam ~/Maildir/.Junk

      mailward train ham /var/mail/alice saved/*.eml
    """
    most_octets = load_config(find_config(config)).limits.message_octets
    try:
        reader = MailReader(paths, most_octets)  # before `config_of` gives up the rights to read it
    except OSError as error:
        fail(f"cannot read {error.filename}: {error.strerror}", NO_INPUT)
    with reader:
        settings = config_of(config)
        owner = "" if account is None else account_of(settings, account).id
        course = asyncio.run(_teach(settings, reader, kind, owner))
    text = f"{course.messages} messages given as {kind.value} to the plugins that learn ({', '.join(course.learners)})"
    text += f", {course.unreadable} unreadable"
    if course.failed:
        text += f", {course.failed} at which a plugin failed (its reason is in the log lines above)"
    shown = [f"\n  {one_line(problem)}" for problem in course.problems]
    data = {
        "kind": kind.value,
        "plugins": course.learners,
        "messages": course.messages,
        "failed": course.failed,
        "unreadable": course.unreadable,
        "problems": course.problems,
    }
    show(text + "".join(shown), data, as_json=as_json)
    if not course.messages:
        fail("there was no message to learn from", NO_INPUT)


async def _teach(config: Config, reader: MailReader, kind: Kind, account: str) -> _Course:
    learning = Learning(config)
    course = _Course(learning.learners)
    try:
        if not learning.learners:
            fail("no plugin of policies/inbound.yaml learns; enable spam there", CONFIGURATION)
        with _progress() as progress:
            bar = progress.add_task(f"learning {kind.value}", total=reader.size_octets, messages=0)
            while (message := await asyncio.to_thread(reader.next)) is not None:
                if message.octets is None:
                    course.unreadable += 1
                    if len(course.problems) < _MOST_PROBLEMS:
                        course.problems.append(f"{message.where}: {message.problem}")
                else:
                    course.messages += 1
                    if not await learning.classified(MessageClassified(account, message.octets, kind.value, "train")):
                        course.failed += 1
                progress.update(bar, advance=message.size_octets, messages=course.messages)
    finally:
        await learning.close()
    return course


def _progress() -> Progress:
    """On standard error, and only where somebody is looking."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[messages]} messages"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
