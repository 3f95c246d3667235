"""A plugin's own subcommands, as plain values; the command line shows them like its own."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from mailward.api.plugin import Settings
from mailward.api.services import Services
from mailward.model.address import Address
from mailward.model.ids import AccountId


class CommandFailed(Exception):
    """The command cannot be carried out; the text says why and how to mend it."""


@dataclass(frozen=True, slots=True)
class CommandCall:
    """One call. arguments: by the names of `AccountCommand.arguments`."""

    account: AccountId
    address: Address
    arguments: Mapping[str, str]
    settings: Settings
    services: Services


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """text: for people. data: the same for `--json`, of what JSON can hold. exit_code: 0, or 1 for an answer of "no"."""

    text: str
    data: Mapping[str, object] = field(default_factory=dict)
    exit_code: Literal[0, 1] = 0


@dataclass(frozen=True, slots=True)
class AccountCommand:
    """`mailward account <plugin> <name> ADDRESS [arguments]`.

    help: one sentence, an empty line, then examples. arguments: name -> one line of help, all required, in order.
    run: raises CommandFailed. What one of the name "status" without arguments says is part of `mailward account show`, too.
    """

    name: str
    help: str
    run: Callable[[CommandCall], Awaitable[CommandAnswer]]
    arguments: Mapping[str, str] = field(default_factory=dict)


CommandGroup = Literal["tls"]
"""Groups of the server's commands that plugins may add to: `mailward tls`."""


@dataclass(frozen=True, slots=True)
class CommandOption:
    """`--name VALUE`. help: one line. kind: what may be written; anything else is refused before the command is run.

    A domain reaches the command as A-labels in lower case, a duration (30m, 2h, 7d) as it was written.
    """

    help: str
    kind: Literal["domain", "duration"]
    required: bool = False


@dataclass(frozen=True, slots=True)
class ServerCall:
    """One call. options: by the names of `ServerCommand.options`, those that were given."""

    options: Mapping[str, str]
    settings: Settings
    services: Services


@dataclass(frozen=True, slots=True)
class ServerCommand:
    """`mailward <group> <name> [options]`. help: as of AccountCommand. run: raises CommandFailed."""

    group: CommandGroup
    name: str
    help: str
    run: Callable[[ServerCall], Awaitable[CommandAnswer]]
    options: Mapping[str, CommandOption] = field(default_factory=dict)
