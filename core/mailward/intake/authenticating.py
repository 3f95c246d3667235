"""Who logs in on this connection? The steps of a login become answers of SMTP (RFC 4954 sections 4 and 6)."""

from mailward.auth.exchange import Accepted, Authenticator, Challenge, Exchange, LoginPeer, Refused, Step
from mailward.model import replies
from mailward.model.errors import LocalError, LoginUnavailable
from mailward.model.identity import Identity
from mailward.model.reply import Reply
from mailward.model.session import Session
from mailward.protocol.smtp.events import Answer, AuthAsked, AuthChallenge, AuthResponse

REFUSALS = {
    "failed": replies.LOGIN_FAILED,
    "malformed": replies.LOGIN_MALFORMED,
    "unavailable": replies.LOGIN_UNAVAILABLE,
}


def answer_of(step: Step) -> Answer:
    """What the client hears of a step."""
    match step:
        case Challenge(octets):
            return AuthChallenge(octets)
        case Accepted():
            return replies.AUTHENTICATED
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
            return replies.LOGIN_NO_LONGER_GOOD if await self._authenticator.revoked((identity,)) else None
        except LoginUnavailable:
            return replies.LOGIN_UNDECIDED
