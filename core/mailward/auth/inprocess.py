"""Logins checked in the process that asks: PLAIN (RFC 4616) over `Login`, seen as `auth.exchange` has it."""

from mailward.auth.exchange import Accepted, Challenge, LoginPeer, Refused, Step
from mailward.auth.login import Login
from mailward.auth.passwords import TooManyWaitingError
from mailward.model.errors import StorageError
from mailward.model.identity import Identity


class InProcessAuthenticator:
    """See `auth.exchange.Authenticator`."""

    mechanisms = ("PLAIN",)

    def __init__(self, login: Login) -> None:
        self._login = login

    def begin(self, peer: LoginPeer, mechanism: str) -> "_PlainExchange":
        return _PlainExchange(self._login, peer, mechanism)


class _PlainExchange:
    def __init__(self, login: Login, peer: LoginPeer, mechanism: str) -> None:
        self._login = login
        self._peer = peer
        self._mechanism = mechanism

    async def step(self, response: bytes | None) -> Step:
        if self._mechanism != "PLAIN":
            return Refused("malformed")
        if response is None:
            return Challenge(b"")
        try:
            authzid, name, password = response.decode("utf-8").split("\0")
        except ValueError:
            return Refused("malformed")
        if authzid and authzid.lower() != name.lower():
            return Refused("failed")
        try:
            account = await self._login.check(name, password, self._peer.peer_ip)
        except (TooManyWaitingError, StorageError):
            return Refused("unavailable")
        return Refused("failed") if account is None else Accepted(Identity(account, name.lower()))
