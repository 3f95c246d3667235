"""SASL exchanges (`exchange.Authenticator`) over the login chain: which mechanism, whose salt, and how it goes on."""

from collections.abc import Callable, Collection, Mapping

from mailward.api.logins import LoginAttempt, Secret
from mailward.auth.chain import LoginChain
from mailward.auth.exchange import Accepted, Challenge, LoginPeer, Refused, Step
from mailward.auth.ports import KeptLogins
from mailward.model.errors import LoginUnavailable
from mailward.model.identity import Identity
from mailward.protocol import scram
from mailward.protocol.sasl import MAX_RESPONSE_OCTETS, Ask, LoginServer, Mechanism, Offer, PlainServer, SaltWanted, SaslError

Makers = Mapping[str, Callable[[], Mechanism]]
MECHANISMS: Makers = {
    scram.NAME: scram.ScramServer,
    "PLAIN": PlainServer,
    "LOGIN": LoginServer,
}
"""The best first."""


class ChainAuthenticator:
    """`exchange.Authenticator` in the process that checks logins. mechanisms: given by tests, which need steady nonces."""

    def __init__(self, chain: LoginChain, kept: KeptLogins, mechanisms: Makers = MECHANISMS) -> None:
        self._chain = chain
        self._kept = kept
        self._makers = mechanisms

    @property
    def mechanisms(self) -> tuple[str, ...]:
        return tuple(self._makers)

    def begin(self, peer: LoginPeer, mechanism: str) -> "ChainExchange":
        make = self._makers.get(mechanism)
        return ChainExchange(self._chain, self._kept, peer, mechanism, make() if make is not None else None)

    async def revoked(self, identities: Collection[Identity]) -> frozenset[Identity]:
        return await self._kept.revoked(identities)


class ChainExchange:
    """`exchange.Exchange`."""

    def __init__(self, chain: LoginChain, kept: KeptLogins, peer: LoginPeer, name: str, mechanism: Mechanism | None) -> None:
        self._chain = chain
        self._kept = kept
        self._peer = peer
        self._name = name
        self._mechanism = mechanism
        self._identity: Identity | None = None

    async def step(self, response: bytes | None) -> Step:
        """Raises nothing but what cancellation raises."""
        mechanism, self._mechanism = self._mechanism, None  # so an exchange that has ended, however, stays so
        if mechanism is None or len(response or b"") > MAX_RESPONSE_OCTETS:
            return Refused("malformed")
        if self._identity is not None:  # the client's answer to the last challenge
            return Refused("malformed") if response else Accepted(self._identity)
        try:
            step = await self._next(mechanism, response)
        except SaslError as error:
            return Refused(error.reason)
        except LoginUnavailable:
            return Refused("unavailable")
        if isinstance(step, Challenge):
            self._mechanism = mechanism
        return step

    async def _next(self, mechanism: Mechanism, response: bytes | None) -> Step:
        found = mechanism.respond(response)
        if isinstance(found, SaltWanted):
            found = found.salted(*await self._kept.salt_of(found.name))
        if isinstance(found, Ask):
            return Challenge(found.octets)
        identity = await self._chain.decide(self._attempt(found), Secret(found.password, found.proof))
        if identity is None:
            return Refused("failed")
        last = mechanism.final()
        if last is None:
            return Accepted(identity)
        self._identity = identity
        return Challenge(last)

    def _attempt(self, offer: Offer) -> LoginAttempt:
        peer = self._peer
        return LoginAttempt(peer.protocol, peer.listener, peer.peer_ip, peer.tls, self._name, offer.name)
