"""The hook specifications of API 1. A plugin implements a hook by a module-level function of the same name under `@hookimpl`.

A function names only the arguments it wants. `async def` runs on the event loop; a plain `def` runs in a thread; a cheap
pure `def` may be marked `@hookimpl(inline=True)`. `needs` and `after` order the plugins of one stage.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

import pluggy

from mailward.api.plugin import Findings, Settings
from mailward.api.services import Services
from mailward.api.views import EnvelopeView, Evidence, MessageView, SessionView
from mailward.model.edits import Edit

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


@dataclass(frozen=True, slots=True)
class MessageMoved:
    """One message that a person moved between mailboxes. `octets` is the stored message, trace fields included."""

    account: str
    source: str
    target: str
    octets: bytes
    source_is_junk: bool
    target_is_junk: bool
    target_is_trash: bool


@hookspec
def inspect_mail(
    session: SessionView, envelope: EnvelopeView, evidence: Evidence, settings: Settings, services: Services
) -> Findings:
    """Look at the session and the reverse-path before the reply to MAIL.

    Stage:    mail; once per mail transaction, after syntax (RFC 5321 section 4.1.1.2). `envelope` has no forward-path yet.
    Return:   None, one Finding, or several. May be a coroutine function.
    On error: exception, time limit or wrong type count as this plugin's `on_error` in the policy (default tempfail, 451 4.3.0).
    Used by:  spf.            Since: API 1.
    """


@hookspec
def inspect_message(
    session: SessionView, envelope: EnvelopeView, message: MessageView, evidence: Evidence, settings: Settings, services: Services
) -> Findings:
    """Look at the whole message: it is in the spool and not yet acknowledged.

    Stage:    message; once per message, for the union of its recipients, before the reply to the end of DATA.
    Return:   None, one Finding, or several. May be a coroutine function.
    On error: exception, time limit or wrong type count as this plugin's `on_error` in the policy (default tempfail, 451 4.3.0).
    Used by:  dkim, dmarc, antivirus, spam.            Since: API 1.
    """


@hookspec
def edit_message(
    session: SessionView, envelope: EnvelopeView, message: MessageView, evidence: Evidence, settings: Settings, services: Services
) -> Edit | Iterable[Edit] | None:
    """Propose changes to a message that was inspected; they hold for every recipient and are applied at delivery.

    Stage:    message, after all `inspect_message` hooks; one plugin after another. `evidence` holds everything found.
    Return:   None, one Edit, or several. May be a coroutine function.
    On error: as inspect_message; no edit of a failed plugin is applied.
    Used by:  spam.            Since: API 1.
    """


@hookspec
def on_moved(moved: MessageMoved, settings: Settings, services: Services) -> None:
    """A person moved a message to another mailbox (IMAP MOVE or COPY); Junk and back is how spam filters learn.

    Stage:    access; after the move is durable, off the critical path.
    Return:   ignored. May be a coroutine function.
    On error: logged; the move stands.
    Used by:  spam.            Since: API 1.
    """
