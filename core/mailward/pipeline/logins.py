"""What do the plugins say to a login? The hooks around one attempt, under the access policy.

The order of the steps, the failure counter and the answer to the client belong to `auth`.
"""

import time
from typing import Literal

import structlog

from mailward.api.logins import FactorAnswer, LoginAttempt, Secret
from mailward.model.errors import LocalError
from mailward.model.identity import Identity
from mailward.model.verdict import Verdict
from mailward.pipeline.answers import read_factor, read_identity
from mailward.pipeline.called import Called
from mailward.pipeline.chain import Chain
from mailward.pipeline.enabling import ServicesOf, enabled_plugins
from mailward.pipeline.facts import login_facts
from mailward.pipeline.gathering import gather, unset_facts
from mailward.pipeline.plugins import PluginHost
from mailward.pipeline.stages import AUTH_STAGE_S
from mailward.policy import Policy

Word = Literal["accept", "reject", "tempfail"]

_WORDS: dict[Verdict, Word] = {Verdict.REJECT: "reject", Verdict.TEMPFAIL: "tempfail"}

_log = structlog.get_logger()


class Logins:
    """Immutable: a reload makes a new one, and attempts under way keep theirs. chain: the plugins.

    policy: of the direction access. Raises PluginError when the enabled plugins cannot work together.
    """

    def __init__(self, policy: Policy, host: PluginHost, services_of: ServicesOf) -> None:
        enabled = tuple(enabled_plugins(policy, host, services_of))
        self._policy = policy
        self._unset = unset_facts(enabled)
        self.chain = Chain(enabled)

    async def inspect(self, attempt: LoginAttempt) -> Word:
        """May this attempt be looked at? A failed plugin counts as its `on_error`."""
        calls = await self.chain.inspect("inspect_auth", {"attempt": attempt}, (), _deadline())
        ruling = self._policy.judge(login_facts(attempt), gather(calls, self._unset), None, stage="auth")
        if ruling is None:
            raise LocalError("the access policy gave no ruling")
        for alarm in ruling.alarms:
            _log.error("policy alarm", peer=attempt.peer_ip, alarm=alarm)
        word = _WORDS.get(ruling.verdict, "accept")
        if word != "accept":
            source = ruling.source
            _log.warning(
                "login judged", verdict=word, peer=attempt.peer_ip, protocol=attempt.protocol, by=source.name, where=source.where
            )
        return word

    async def identify(self, attempt: LoginAttempt, secret: Secret) -> Identity | None:
        """Whose secret it is, None when no plugin knows. Raises HooksUnavailable."""
        arguments = {"attempt": attempt, "secret": secret}
        answered = await self.chain.provide("provide_identity", arguments, read_identity, _deadline())
        return None if answered is None else answered.value

    async def second_factor(self, identity: Identity, attempt: LoginAttempt, code: str | None) -> FactorAnswer | None:
        """What the account's second factor says, None when it has none. Raises HooksUnavailable."""
        arguments = {"identity": identity, "attempt": attempt, "code": code}
        answered: Called[FactorAnswer] | None
        answered = await self.chain.provide("provide_second_factor", arguments, read_factor, _deadline())
        return None if answered is None else answered.value


def _deadline() -> float:
    return time.monotonic() + AUTH_STAGE_S
