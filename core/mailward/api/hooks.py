"""The hook specifications of API 1. A plugin implements a hook by a module-level function of the same name under `@hookimpl`.

A function names only the arguments it wants. `async def` runs on the event loop; a plain `def` runs in a thread; a cheap
pure `def` may be marked `@hookimpl(inline=True)`. `needs` and `after` order the plugins of one stage.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar, overload

import pluggy

from mailward.api.commands import AccountCommand, ServerCommand
from mailward.api.delivering import Delivery, FolderChoice
from mailward.api.dns import DnsRecord
from mailward.api.learning import MessageClassified, MessageMoved
from mailward.api.logins import FactorAnswer, LoginAttempt, LoginOutcome, Secret
from mailward.api.plugin import Findings, Settings
from mailward.api.relaying import MailHost, Relaying, RelayingAttempt
from mailward.api.services import Services
from mailward.api.views import EnvelopeView, Evidence, MessageView, SessionView
from mailward.model.address import ForwardPath
from mailward.model.edits import Edit
from mailward.model.identity import Identity
from mailward.model.tls import TlsRequirement

PROJECT = "mailward"
hookspec = pluggy.HookspecMarker(PROJECT)
_pluggy_hookimpl = pluggy.HookimplMarker(PROJECT)

Function = TypeVar("Function", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class HookOptions:
    """What `@hookimpl(...)` said. needs: plugins that must be enabled and run before; after: run before if enabled ("*": all)."""

    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    inline: bool = False


_OPTIONS = "mailward_hook_options"


@overload
def hookimpl(function: Function) -> Function: ...


@overload
def hookimpl(*, needs: Iterable[str] = (), after: Iterable[str] = (), inline: bool = False) -> Callable[[Function], Function]: ...


def hookimpl(
    function: Function | None = None, *, needs: Iterable[str] = (), after: Iterable[str] = (), inline: bool = False
) -> Function | Callable[[Function], Function]:
    """Mark a function as the implementation of the hook of its name. needs, after: plugin names; one alone may be a str."""
    options = HookOptions(_names(needs), _names(after), inline)

    def mark(target: Function) -> Function:
        setattr(target, _OPTIONS, options)
        return _pluggy_hookimpl(target)

    return mark if function is None else mark(function)


def _names(given: Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def options_of(function: Callable[..., Any]) -> HookOptions:
    """The options a function was marked with; the defaults when it was not."""
    found = getattr(function, _OPTIONS, None)
    return found if isinstance(found, HookOptions) else HookOptions()


@hookspec
def inspect_auth(attempt: LoginAttempt, settings: Settings, services: Services) -> Findings:
    """Look at an attempt to log in, before its secret is looked at.

    Stage:    auth; once per attempt, on every protocol, judged by policies/access.yaml.
    Return:   None, one Finding, or several. May be a coroutine function.
    On error: exception, time limit or wrong type count as this plugin's `on_error` in the policy (default tempfail: nobody can
              log in until it works again).
    Used by:  login_guard.            Since: API 1.
    """


@hookspec
def provide_identity(attempt: LoginAttempt, secret: Secret, settings: Settings, services: Services) -> Identity | None:
    """Say whose secret this is; the first plugin that knows ends the search.

    Stage:    auth; after `inspect_auth`, once per attempt (twice when a one-time code may stand behind the password).
    Return:   the Identity, or None when it is not this plugin's. May be a coroutine function.
    On error: as inspect_auth; with `on_error: accept` the next plugin is asked.
    Used by:  accounts.            Since: API 1.
    """


@hookspec
def provide_second_factor(
    identity: Identity, attempt: LoginAttempt, code: str | None, settings: Settings, services: Services
) -> FactorAnswer | None:
    """Say whether this account needs a second factor, and whether the code that was given is one.

    Stage:    auth; once per attempt whose main password was right. Not asked for app passwords, which stand for both factors.
    Return:   "accepted", "refused" (a wrong or used code), "required" (no code was given), or None: the account has no second
              factor of this plugin's. May be a coroutine function.
    On error: as inspect_auth.
    Used by:  totp.            Since: API 1.
    """


@hookspec
def on_auth(attempt: LoginAttempt, outcome: LoginOutcome, settings: Settings, services: Services) -> None:
    """An attempt to log in has ended.

    Stage:    auth; after the answer is certain, off the critical path.
    Return:   ignored. May be a coroutine function.
    On error: logged; the answer stands.
    Used by:  login_guard.            Since: API 1.
    """


@hookspec
def inspect_connect(session: SessionView, evidence: Evidence, settings: Settings, services: Services) -> Findings:
    """Look at a client that has connected: where it comes from, and what reverse DNS says of it (`session.rdns`).

    Stage:    connect; once per connection, while the client talks, and again where it speaks for another client (XCLIENT). What
              is found counts from MAIL on, which waits for it; nothing is refused before.
    Return:   None, one Finding, or several. May be a coroutine function.
    On error: exception, time limit or wrong type count as this plugin's `on_error` in the policy (default tempfail, 451 4.3.0 to
              each MAIL).
    Used by:  client, spamtrap.            Since: API 1.
    """


@hookspec
def inspect_helo(
    session: SessionView, former: str | None, evidence: Evidence, settings: Settings, services: Services
) -> Findings:
    """Look at the name a client gives: `session.helo`. former: the one it gave before, over the same connection; None: none.

    Stage:    helo; after each EHLO, HELO or LHLO (RFC 5321 section 4.1.1.1), while the client talks. What is found of the last
              one counts from MAIL on, which waits for it; STARTTLS makes names said before forgotten (RFC 3207 section 4.2).
    Return:   None, one Finding, or several. May be a coroutine function.
    On error: as inspect_connect.
    Used by:  client.            Since: API 1.
    """


@hookspec
def inspect_mail(
    session: SessionView, envelope: EnvelopeView, evidence: Evidence, settings: Settings, services: Services
) -> Findings:
    """Look at the session and the reverse-path before the reply to MAIL.

    Stage:    mail; once per mail transaction, after syntax (RFC 5321 section 4.1.1.2). `envelope` has no forward-path yet.
    Return:   None, one Finding, or several. May be a coroutine function.
    On error: exception, time limit or wrong type count as this plugin's `on_error` in the policy (default tempfail, 451 4.3.0).
    Used by:  spf, encryption, dnsbl.            Since: API 1.
    """


@hookspec
def inspect_rcpt(
    session: SessionView,
    envelope: EnvelopeView,
    forward_path: ForwardPath,
    evidence: Evidence,
    settings: Settings,
    services: Services,
) -> Findings:
    """Look at one forward-path before the reply to RCPT; `envelope` has those that were taken before it.

    Stage:    rcpt; once for each forward-path of a mail transaction, after syntax and the relay guard (RFC 5321 section 4.1.1.3).
              For the reply to RCPT only what is found of this forward-path counts. Of those that were taken, symbols, score and
              what is asked for then count for the message, so for all of them; facts are those of this recipient alone, whoever
              else the sender names and in whichever order, and stand before those of earlier stages. `evidence.facts` of
              message hooks is without them; `evidence.findings` has them. What inspect_message sets holds for all.
              One that was refused is no recipient, and what was found of it is forgotten.
    Return:   None, one Finding, or several. May be a coroutine function.
    On error: as inspect_mail, in the reply to this RCPT; where `on_error` takes it all the same, for the message too.
    Used by:  spamtrap.            Since: API 1.
    """


@hookspec
def inspect_message(
    session: SessionView, envelope: EnvelopeView, message: MessageView, evidence: Evidence, settings: Settings, services: Services
) -> Findings:
    """Look at the whole message: it is in the spool and not yet acknowledged.

    Stage:    message; once per message, for the union of its recipients, before the reply to the end of DATA.
    Return:   None, one Finding, or several. May be a coroutine function.
    On error: exception, time limit or wrong type count as this plugin's `on_error` in the policy (default tempfail, 451 4.3.0).
    Used by:  dkim, dmarc, antivirus, ambiguity, spam, greylist, tlsrpt, spamtrap.           Since: API 1.
    """


@hookspec
def edit_message(
    session: SessionView, envelope: EnvelopeView, message: MessageView, evidence: Evidence, settings: Settings, services: Services
) -> Edit | Iterable[Edit] | None:
    """Propose changes to a message that was inspected; they hold for every recipient and are applied at delivery.

    Stage:    message, after all `inspect_message` hooks; one plugin after another. `evidence` holds everything found.
    Return:   None, one Edit, or several (see Edits). May be a coroutine function.
    On error: as inspect_message; no edit of a failed plugin is applied.
    Used by:  spam.            Since: API 1.
    """


@hookspec
def provide_folder(delivery: Delivery, message: MessageView, settings: Settings, services: Services) -> FolderChoice | None:
    """Say into which folder a copy goes; the first plugin that answers ends the search. `message` is as it was received.

    Asked for each recipient whose verdict is accept and whose mailbox is here, under policies/inbound.yaml, wherever the message
    came from; not where a rule has named the folder, nor for what is released from the quarantine, reports, and plugins' mail.
    Stage:    deliver; before a copy is stored, in the process that took the message, or later in the one that has the queue.
              After a crash it may be asked again about a copy that is stored already, which then stays where it is.
    Return:   a FolderChoice, or None: another plugin may know, and if none does it is INBOX. May be a coroutine function.
    On error: exception, time limit or wrong type: the copy stays queued and is tried later, with an alarm, until it is answered,
              the plugin is off, or `outbound.give_up_after` is over; then it goes into INBOX. With `on_error: accept` the next
              plugin is asked at once.
    Used by:  subaddress.            Since: API 1.
    """


@hookspec
def on_moved(moved: MessageMoved, settings: Settings, services: Services) -> None:
    """A person moved a message into Junk or out of it, or copied it (IMAP MOVE or COPY): this is how spam filters learn.

    Other mailboxes say nothing about a message, so nobody hears of moves between them.
    Stage:    access; after the move is durable, off the critical path. One after another in a process, in the order of what was
              done; at most 1000 messages of an account in a minute, those of `on_classified` included, each at most 2 MiB.
    Return:   ignored. May be a coroutine function.
    On error: logged; the move stands.
    Used by:  spam.            Since: API 1.
    """


@hookspec
def on_classified(classified: MessageClassified, settings: Settings, services: Services) -> None:
    """A person said of a message that it is spam or ham: `mailward train`, a release from the quarantine, an IMAP keyword.

    Keywords are `$Junk` and `Junk`, `$NotJunk`, `NotJunk` and `NonJunk` that STORE changed; of both kinds at once is of neither.
    Stage:    access; after the fact, off the critical path. One after another in a process, in the order of what was said; at
              most 1000 messages of an account in a minute, moves included, each at most 2 MiB.
    Return:   ignored. May be a coroutine function.
    On error: logged.
    Used by:  spam.            Since: API 1.
    """


@hookspec
def collect_tls_requirement(
    relaying: Relaying, host: MailHost, settings: Settings, services: Services
) -> TlsRequirement | Iterable[TlsRequirement] | None:
    """Say how well the connection to this host of the domain must be protected; of all answers the strictest holds.

    Stage:    relay; before a message goes to a host, for each host that is tried, under policies/outbound.yaml.
    Return:   None for no wish, one TlsRequirement, or several. May be a coroutine function.
    On error: exception, time limit or wrong type: the message stays queued and is tried later, with an alarm, and
              bounces in the end; UnsendableMessage: it bounces at once. With `on_error: accept` the attempt goes on without
              this plugin.
    Used by:  encryption.            Since: API 1.
    """


@hookspec
def edit_relay(relaying: Relaying, message: MessageView, settings: Settings, services: Services) -> Edit | Iterable[Edit] | None:
    """Propose changes to the copy that leaves, above all signatures: `message` has all other edits already.

    Stage:    relay; before each outbound attempt; one plugin after another, each sees the changes of those before.
    Return:   None, one Edit, or several (see Edits). May be a coroutine function.
    On error: as collect_tls_requirement.
    Used by:  dkim.            Since: API 1.
    """


@hookspec
def on_attempt(attempt: RelayingAttempt, settings: Settings, services: Services) -> None:
    """An attempt to hand a message to another domain's servers has ended, well or not.

    Stage:    relay; after each outbound attempt, once its results are in the journal, off the critical path.
    Return:   ignored. May be a coroutine function.
    On error: logged; the attempt stands.
    Used by:  tlsrpt.            Since: API 1.
    """


@hookspec
def on_day(day: date, settings: Settings, services: Services) -> None:
    """A day (UTC) has ended: time for what is done once a day, such as reports.

    Stage:    life; in the process that has the queue, some minutes after midnight or after the next start: once for the server,
              with the settings of the first policy of outbound, access, submission, inbound that enforces the plugin. For each
              of the last days that it was enabled, in their order.
    Return:   ignored. May be a coroutine function.
    On error: logged, and asked for the same day again after ten minutes; so too after a crash. What it does twice must do no
              harm: `services.submit` sends once for each key.
    Used by:  tlsrpt, encryption.            Since: API 1.
    """


@hookspec
def collect_commands(settings: Settings) -> Iterable[AccountCommand | ServerCommand] | None:
    """Offer subcommands of `mailward account`, and of the groups of commands that take more.

    Stage:    life; when a command of a plugin, or the list of all commands, is asked for.
    Return:   the commands, or None.
    On error: the command line says so and works without them.
    Used by:  totp, tlsrpt.            Since: API 1.
    """


@hookspec
def collect_dns_records(domain: str, settings: Settings, services: Services) -> Iterable[DnsRecord] | None:
    """Name the DNS records that a domain should publish for this plugin's work.

    Stage:    life; for `mailward domain dns`, `quickstart` and the like.
    Return:   the records, or None. May be a coroutine function.
    On error: the command says so and prints the others.
    Used by:  dkim, tlsrpt.            Since: API 1.
    """
