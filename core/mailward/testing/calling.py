"""What does one hook of one plugin answer? Called and checked as the server does it, with fake services and no server.

It is also the place that knows, for every hook, an ordinary value of each argument and the check of its answer.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, get_type_hints

from mailward.api import (
    Delivery,
    EnvelopeView,
    ForwardPath,
    Identity,
    LoginAttempt,
    LoginOutcome,
    MailHost,
    MessageClassified,
    MessageMoved,
    MessageView,
    Plugin,
    Relaying,
    RelayingAttempt,
    Secret,
    SessionView,
    hooks,
)
from mailward.pipeline import answers
from mailward.pipeline.chain import Chain
from mailward.pipeline.enabling import chain_of
from mailward.pipeline.plugins import spec_arguments
from mailward.pipeline.stages import PLACES
from mailward.policy import Direction
from mailward.testing import making
from mailward.testing.policies import Named, made_policy, name_of
from mailward.testing.world import FakeServices

LIMIT_S = 30.0
"""Of one call in a test, where nobody waits for a reply."""

ORDINARY: Mapping[object, Callable[[], object]] = {
    SessionView: making.make_session,
    EnvelopeView: making.make_envelope,
    ForwardPath: making.make_forward_path,
    MessageView: making.make_message,
    LoginAttempt: making.make_login,
    Secret: making.make_secret,
    Identity: making.make_identity,
    str | None: lambda: None,
    LoginOutcome: making.make_outcome,
    Delivery: making.make_delivery,
    Relaying: making.make_relaying,
    MailHost: making.make_host,
    RelayingAttempt: making.make_attempt,
    MessageMoved: making.make_moved,
    MessageClassified: making.make_classified,
    date: making.make_day,
    str: lambda: "example.org",
}
"""By the type in the specification: what a hook is given when a test does not say. Evidence, settings and services are not here:
they depend on the plugin.
"""

_DIRECTIONS: Mapping[str, Direction] = {"auth": "access", "relay": "outbound", "life": "outbound"}


class HookFailed(AssertionError):
    """The server would count this call as failed; the text says why."""


class CallHook:
    """Call it with a plugin and the name of a hook; the hook is run as the server runs it: awaited, in a thread, or directly."""

    def __init__(self, services: FakeServices | None = None) -> None:
        self.services = services or FakeServices()

    def __call__(
        self,
        plugin: Named,
        hook: str,
        *,
        settings: Mapping[str, object] | None = None,
        beside: Sequence[Named] = (),
        **given: object,
    ) -> Any:  # what it is depends on the hook
        """The answer, checked and in the server's form: a tuple of findings, edits, requirements, commands or records, else the
        value itself; of an `on_*` hook None.

        given: arguments of the hook by name (`mailward.testing` makes them: `make_session` and the like); for the others an
        ordinary value. settings: keys as in the policy. beside: the plugins it `needs`. Raises HookFailed where the server would
        count the call as failed, TypeError for an argument that the hook does not have, PluginError and PolicyError.
        """
        name = name_of(plugin)
        chain = made_chain([*beside, plugin], self.services, hook, {name: settings or {}})
        known = ordinary_arguments(hook)
        if unknown := set(given) - set(spec_arguments(hook)):
            raise TypeError(
                f"{hook} has no argument {', '.join(sorted(unknown))}; its arguments are {', '.join(spec_arguments(hook))}"
            )
        try:
            return asyncio.run(_ask(chain, name, hook, {"evidence": chain.evidence(()), **known, **given}))
        finally:
            chain.close()


def made_chain(
    plugins: Sequence[Named], services: FakeServices, hook: str, settings: Mapping[str, Mapping[str, object]]
) -> Chain:
    """The chain of a policy of the direction in which this hook is called. Raises PluginError and PolicyError."""
    policy, host = made_policy(
        direction_of(hook), plugins, {name: {"timeout": f"{LIMIT_S:g}s", **s} for name, s in settings.items()}, {}
    )
    return chain_of(policy, host, services.of)


def direction_of(hook: str) -> Direction:
    """Which policy is asked whether the plugin is enabled for this hook. Raises ValueError when there is no such hook."""
    if hook not in PLACES:
        raise ValueError(f"there is no hook {hook!r}; the hooks are {', '.join(PLACES)}")
    return _DIRECTIONS.get(PLACES[hook].stage, "inbound")


def ordinary_arguments(hook: str) -> dict[str, object]:
    """One value for each argument of the specification but evidence, settings and services."""
    return {name: ORDINARY[kind]() for name, kind in argument_types(hook).items()}


def argument_types(hook: str) -> dict[str, object]:
    """The types of the arguments of the specification but evidence, settings and services."""
    types = get_type_hints(getattr(hooks, hook))
    return {name: types[name] for name in spec_arguments(hook) if name not in ("evidence", "settings", "services")}


def reader_of(hook: str, declaration: Plugin, arguments: Mapping[str, object]) -> Callable[[object], object]:
    """The server's check of an answer; it returns the answer in the server's form and raises BadAnswer."""
    return partial(answers.reader_of(hook), plugin=declaration, arguments=arguments)


async def _ask(chain: Chain, name: str, hook: str, arguments: Mapping[str, object]) -> object:
    one = next((one for one in chain.enforced(hook) if one.name == name), None)
    if one is None:
        raise HookFailed(f"{name} does not implement {hook}")
    read = reader_of(hook, one.plugin.declaration, arguments)
    called = await chain.ask(one, hook, arguments, read, time.monotonic() + LIMIT_S)
    if called.failed:
        raise HookFailed(f"{hook} of {name} failed: {called.call.error}")
    return called.value
