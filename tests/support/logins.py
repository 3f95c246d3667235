"""An authenticator for tests: PLAIN and LOGIN against passwords it is given, SCRAM-SHA-256 as the one dialogue of RFC 7677."""

import asyncio
from collections.abc import Coroutine, Generator, Mapping
from typing import Any, TypeVar

from mailward.auth.exchange import Accepted, Challenge, LoginPeer, Refused, Step
from mailward.model.identity import Identity
from mailward.model.ids import AccountId

T = TypeVar("T")
Dialogue = Generator[Challenge, bytes | None, Accepted | Refused]

SCRAM_CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SCRAM_SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
SCRAM_CLIENT_FINAL = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
SCRAM_SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


class KnownLogins:
    """identities: by login name; "user" is also the one of RFC 7677. unavailable@: try again later. gate: steps wait for it."""

    mechanisms = ("SCRAM-SHA-256", "PLAIN", "LOGIN")

    def __init__(self, passwords: Mapping[str, str], identities: Mapping[str, Identity] | None = None) -> None:
        self._passwords = passwords
        self._identities = identities or {name: Identity(AccountId(name), name) for name in passwords}
        self.peers: list[LoginPeer] = []
        self.begun: list[str] = []
        self.gate: asyncio.Event | None = None
        self.stepping = asyncio.Event()

    def begin(self, peer: LoginPeer, mechanism: str) -> "KnownExchange":
        self.peers.append(peer)
        self.begun.append(mechanism)
        return KnownExchange(self, {"PLAIN": self._plain, "LOGIN": self._login, "SCRAM-SHA-256": self._scram}[mechanism]())

    def _check(self, name: bytes, password: bytes) -> Accepted | Refused:
        known = name.decode("utf-8", "replace")
        if known.startswith("unavailable"):
            return Refused("unavailable")
        if known in self._passwords and self._passwords[known].encode() == password:
            return Accepted(self._identities[known])
        return Refused("failed")

    def _plain(self) -> Dialogue:
        response = yield Challenge(b"")
        parts = (response or b"").split(b"\0")
        return self._check(parts[1], parts[2]) if len(parts) == 3 else Refused("malformed")

    def _login(self) -> Dialogue:
        name = yield Challenge(b"Username:")
        password = yield Challenge(b"Password:")
        return self._check(name or b"", password or b"")

    def _scram(self) -> Dialogue:
        if (yield Challenge(b"")) != SCRAM_CLIENT_FIRST:
            return Refused("malformed")
        if (yield Challenge(SCRAM_SERVER_FIRST)) != SCRAM_CLIENT_FINAL:
            return Refused("failed")
        if (yield Challenge(SCRAM_SERVER_FINAL)) != b"":
            return Refused("malformed")
        return Accepted(self._identities["user"])


class KnownExchange:
    """Each dialogue begins by a challenge, which an initial response answers before it is sent."""

    def __init__(self, logins: KnownLogins, dialogue: Dialogue) -> None:
        self._logins = logins
        self._dialogue = dialogue
        self._first = True

    async def step(self, response: bytes | None) -> Step:
        self._logins.stepping.set()
        if self._logins.gate is not None:
            await self._logins.gate.wait()
        try:
            if self._first:
                self._first = False
                challenge = next(self._dialogue)
                if response is None:
                    return challenge
            return self._dialogue.send(response)
        except StopIteration as end:
            outcome: Accepted | Refused = end.value
            return outcome


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that has nothing to wait for."""
    try:
        work.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    raise AssertionError("it waits")
