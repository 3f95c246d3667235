"""Who logs in on this connection? The steps of a login become answers of SMTP (RFC 4954 sections 4 and 6)."""

from mailward.auth.exchange import Accepted, Authenticator, Challenge, Exchange, LoginPeer, Refused, Step
from mailward.model.errors import LocalError, LoginUnavailable
from mailward.model.identity import Identity
from mailward.model.reply import Reply, reply
from mailward.model.session import Session
from mailward.protocol.smtp.events import Answer, AuthAsked, AuthChallenge, AuthResponse

AUTHENTICATED = reply(235, "2.7.0", "Authentication successful")
REFUSALS = {
    "failed": reply(535, "5.7.8", "Authentication credentials invalid"),
    "malformed": reply(501, "5.5.2", "The response is not of this mechanism"),
    "unavailable": reply(454, "4.7.0", "Temporary authentication failure, please try again later"),
}
NO_LONGER_GOOD = reply(421, "4.7.0", "The password of this session is no longer good", closes=True)
UNDECIDED = reply(451, "4.7.0", "Logins cannot be checked at the moment, please try again later")


def answer_of(step: Step) -> Answer:
    """What the client hears of a step."""
    match step:
        case Challenge(octets):
            return AuthChallenge(octets)
        case Accepted():
            return AUTHENTICATED
        case Refused(reason):
            return REFUSALS[reason]


class SessionLogins:
    """The logins of one connection, one exchange at a time."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._exchange: Exchange | None = None

    async def answer(self, event: AuthAsked | AuthResponse, session: Session) -> tuple[Answer, Identity | None]:
        """What to answer, and who has logged in with it. May take long. An exchange that another one follows is dropped."""
        if isinstance(event, AuthAsked):
            peer = LoginPeer("smtp", session.listener, session.peer_ip, session.tls)
            self._exchange = self._authenticator.begin(peer, event.mechanism)
            step = await self._exchange.step(event.initial)
        elif self._exchange is not None:
            step = await self._exchange.step(event.octets)
        else:
            raise LocalError("a response came outside an exchange")
        if not isinstance(step, Challenge):
            self._exchange = None
        return answer_of(step), step.identity if isinstance(step, Accepted) else None

    async def refusal(self, identity: Identity) -> Reply | None:
        """Why somebody who has logged in on this connection may go on no longer; None when all is well (T-2FA-06)."""
        try:
            return NO_LONGER_GOOD if await self._authenticator.revoked((identity,)) else None
        except LoginUnavailable:
            return UNDECIDED
