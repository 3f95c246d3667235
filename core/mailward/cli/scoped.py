"""Options that say of which mail a policy is shown, since overrides and canaries are for some: whose, from where, to whom."""

from dataclasses import dataclass
from typing import Annotated

import typer

from mailward.app.config import Config
from mailward.app.recipients import recipients_of
from mailward.cli.options import account_of, listener_of, parsed_address, parsed_ip
from mailward.cli.output import USAGE, fail
from mailward.model.address import ForwardPath
from mailward.model.identity import Identity
from mailward.policy import RULES, Direction, RecipientFacts
from mailward.policy.scope import Origin

FLAGS = {
    "recipient": "--for",
    "sender": "--sender",
    "network": "--ip",
    "listener": "--listener",
    "identity": "--identity",
}
"""The option that tells what a key of `for:` is about."""

ForOption = Annotated[str | None, typer.Option("--for", help="As it holds for this recipient, overrides included.")]
SenderOption = Annotated[str | None, typer.Option(help="As it holds for this reverse-path; '<>' for the null one.")]
IpOption = Annotated[str | None, typer.Option(help="As it holds for a client of this address.")]
ListenerOption = Annotated[str | None, typer.Option(help="As it holds for what comes by this listener.")]
IdentityOption = Annotated[str | None, typer.Option(help="As it holds for what this account submits.")]


@dataclass(frozen=True, slots=True)
class Asked:
    """The mail, or the login, that is asked about. recipient: None when none was named. words: the options that were given."""

    origin: Origin
    recipient: RecipientFacts | None
    words: str


def asked_about(
    config: Config,
    direction: Direction,
    recipient: str | None,
    sender: str | None,
    ip: str | None,
    listener: str | None,
    identity: str | None,
) -> Asked:
    """What these options say. One that means nothing in this direction ends the command."""
    given = dict(zip(FLAGS, (recipient, sender, ip, listener, identity), strict=True))
    for key, (why, _) in RULES[direction].unscoped.items():
        if given[key] is not None:
            fail(f"{FLAGS[key]}: {why}", USAGE)
    if listener is not None:
        listener_of(config, listener)
    account = None if identity is None else identity_of(config, identity)
    origin = Origin(
        ip="" if ip is None else parsed_ip("--ip", ip),
        listener=listener or "",
        reverse_path="" if sender is None or sender == "<>" else str(parsed_address(sender)),
        user="" if account is None else account.user,
        groups=() if account is None else account.groups,
    )
    who = [] if recipient is None else recipients_of(config, [ForwardPath(parsed_address(recipient))])
    return Asked(
        origin, next(iter(who), None), " ".join(f"{FLAGS[key]} {word}" for key, word in given.items() if word is not None)
    )


def identity_of(config: Config, text: str) -> Identity:
    """What is known of the account of this address once it has logged in, by its password alone."""
    found = account_of(config, text)
    (own,) = recipients_of(config, [ForwardPath(found.address)])
    return Identity(found.id, str(found.address), own.groups)
