"""Logins over the local socket: the process that checks them answers, the others ask. Both sides of the same few calls.

step    {"exchange": ""} and who asks, or {"exchange": "5f.."}, and "response"  ->  {"challenge"} | {"accepted"} | {"refused"}
revoked {"logins": [["account", "credential"], ...]}                            ->  {"revoked": [places in the list]}
unlock  {"account"}                                                             ->  {}
"""

import asyncio
import base64
import secrets
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Literal, cast

import structlog

from mailward.api.logins import LoginProtocol
from mailward.auth.authenticator import MECHANISMS, ChainAuthenticator
from mailward.auth.chain import LoginChain
from mailward.auth.exchange import Accepted, Challenge, Exchange, LoginPeer, Refused, Step
from mailward.model.errors import LoginUnavailable
from mailward.model.identity import Identity
from mailward.model.ids import AccountId
from mailward.model.session import TlsFacts
from mailward.net.local import LocalClient, LocalServer, PeerAway, Refusal, Values, call_once

MAX_OPEN = 1000
MAX_OPEN_S = 60.0
"""So many exchanges may wait for their client, each for so long; beyond that the oldest are dropped."""
_RETRY_S = 0.1
_BATCH = 1000
"""So many logins in one question whether they still stand, whatever a line of `net.local` may hold."""

log = structlog.get_logger("mailward.auth")


class AuthServer:
    """Serves exchanges of a ChainAuthenticator, and unlocking."""

    def __init__(self, path: Path, authenticator: ChainAuthenticator, chain: LoginChain) -> None:
        self._authenticator = authenticator
        self._chain = chain
        self._open = OpenExchanges()
        self._server = LocalServer(path, {"step": self._step, "revoked": self._revoked, "unlock": self._unlock})

    async def start(self) -> None:
        """Raises OSError."""
        await self._server.start()

    async def close(self) -> None:
        await self._server.close()

    async def _step(self, values: Values) -> Values:
        key = str(values["exchange"])
        if key:
            exchange = self._open.take(key)
            if exchange is None:
                return _encode(Refused("unavailable"), "")
        else:
            exchange = self._authenticator.begin(_peer(cast(Values, values["peer"])), str(values["mechanism"]))
        step = await exchange.step(_octets(values["response"]))
        return _encode(step, self._open.keep(exchange) if isinstance(step, Challenge) else "")

    async def _revoked(self, values: Values) -> Values:
        logins = cast(list[list[str]], values["logins"])
        asked = [Identity(AccountId(account), "", credential=credential) for account, credential in logins]
        try:
            revoked = await self._authenticator.revoked(asked)
        except LoginUnavailable as error:
            raise Refusal(str(error)) from error
        return {"revoked": [place for place, identity in enumerate(asked) if identity in revoked]}

    async def _unlock(self, values: Values) -> Values:
        self._chain.unlock(AccountId(str(values["account"])))
        return {}


class OpenExchanges:
    """Exchanges that wait for their client's next response, by keys that nobody can guess."""

    def __init__(self, limit: int = MAX_OPEN) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, tuple[Exchange, float]] = OrderedDict()

    def keep(self, exchange: Exchange) -> str:
        now = asyncio.get_running_loop().time()
        while self._kept:
            oldest = next(iter(self._kept))
            if len(self._kept) < self._limit and self._kept[oldest][1] > now:
                break
            del self._kept[oldest]
        key = secrets.token_hex(16)
        self._kept[key] = exchange, now + MAX_OPEN_S
        return key

    def take(self, key: str) -> Exchange | None:
        exchange, until = self._kept.pop(key, (None, 0.0))
        return exchange if until > asyncio.get_running_loop().time() else None

    def __len__(self) -> int:
        return len(self._kept)


class RemoteAuthenticator:
    """`auth.exchange.Authenticator` in every other process. patience_s: a login waits so long for a process that is starting."""

    def __init__(self, path: Path, *, patience_s: float = 5.0) -> None:
        self._client = LocalClient(path)
        self._patience_s = patience_s

    @property
    def mechanisms(self) -> tuple[str, ...]:
        return tuple(MECHANISMS)

    def begin(self, peer: LoginPeer, mechanism: str) -> "RemoteExchange":
        return RemoteExchange(self._client, peer, mechanism, self._patience_s)

    async def revoked(self, identities: Collection[Identity]) -> frozenset[Identity]:
        everybody = [*identities]
        found: set[Identity] = set()
        for start in range(0, len(everybody), _BATCH):
            asked = everybody[start : start + _BATCH]
            try:
                values = {"logins": [[identity.account, identity.credential] for identity in asked]}
                answer = await _call_patiently(self._client, "revoked", values, self._patience_s)
            except (PeerAway, Refusal) as error:
                raise LoginUnavailable(str(error)) from error
            found.update(asked[place] for place in cast(list[int], answer["revoked"]))
        return frozenset(found)

    async def close(self) -> None:
        await self._client.close()


class RemoteExchange:
    """`auth.exchange.Exchange`; its state is in the process that checks logins."""

    def __init__(self, client: LocalClient, peer: LoginPeer, mechanism: str, patience_s: float) -> None:
        self._client = client
        self._peer = peer
        self._mechanism = mechanism
        self._patience_s = patience_s
        self._key = ""

    async def step(self, response: bytes | None) -> Step:
        values = {"exchange": self._key, "response": None if response is None else base64.b64encode(response).decode("ascii")}
        try:
            answer = await (self._client.call("step", values) if self._key else self._begin(values))
        except (PeerAway, Refusal) as error:
            log.warning("login undecided", peer=self._peer.peer_ip, protocol=self._peer.protocol, why=str(error))
            return Refused("unavailable")
        self._key = str(answer.get("exchange", ""))
        return _decode(answer)

    async def _begin(self, values: Values) -> Values:
        """The first step leaves nothing behind in a process that went away, so it can be asked again of the next one."""
        values = {**values, "peer": asdict(self._peer), "mechanism": self._mechanism}
        return await _call_patiently(self._client, "step", values, self._patience_s)


async def _call_patiently(client: LocalClient, name: str, values: Values, patience_s: float) -> Values:
    """As `LocalClient.call`; a process that is away is asked again, for so long."""
    loop = asyncio.get_running_loop()
    until = loop.time() + patience_s
    while True:
        try:
            return await client.call(name, values)
        except PeerAway:
            if loop.time() >= until:
                raise
        await asyncio.sleep(_RETRY_S)


def unlock(path: Path, account: AccountId) -> None:
    """Forget an account's failures; blocking, for the command line. Raises PeerAway and Refusal."""
    call_once(path, "unlock", {"account": account})


def _encode(step: Step, key: str) -> Values:
    match step:
        case Challenge(octets):
            return {"challenge": base64.b64encode(octets).decode("ascii"), "exchange": key}
        case Accepted(identity):
            return {"accepted": asdict(identity)}
        case Refused(reason):
            return {"refused": reason}


def _decode(answer: Values) -> Step:
    if "challenge" in answer:
        return Challenge(base64.b64decode(str(answer["challenge"])))
    if "accepted" in answer:
        found = cast(dict[str, object], answer["accepted"])
        return Accepted(
            Identity(
                AccountId(str(found["account"])),
                str(found["user"]),
                tuple(cast(list[str], found["groups"])),
                bool(found["second_factor"]),
                str(found["app_password"]),
                str(found["credential"]),
            )
        )
    return Refused(cast(Literal["failed", "malformed", "unavailable"], answer["refused"]))


def _octets(value: object) -> bytes | None:
    return None if value is None else base64.b64decode(str(value), validate=True)


def _peer(values: Values) -> LoginPeer:
    tls = cast(dict[str, str] | None, values["tls"])
    return LoginPeer(
        cast(LoginProtocol, values["protocol"]),
        str(values["listener"]),
        str(values["peer_ip"]),
        None if tls is None else TlsFacts(tls["version"], tls["cipher"]),
    )
