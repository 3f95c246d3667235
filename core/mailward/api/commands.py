"""A plugin's own subcommands of `mailward account`, as plain values; the command line shows them like its own."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

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
    """text: for people. data: the same for `--json`, of what JSON can hold."""

    text: str
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccountCommand:
    """`mailward account <plugin> <name> ADDRESS [arguments]`.

    help: one sentence, an empty line, then examples. arguments: name -> one line of help, all required, in order.
    run: raises CommandFailed.
    """

    name: str
    help: str
    run: Callable[[CommandCall], Awaitable[CommandAnswer]]
    arguments: Mapping[str, str] = field(default_factory=dict)
