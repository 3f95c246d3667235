"""How is a connection to a next hop made, and how well is it protected? (RFC 3207; RFC 7672; RFC 8461; RFC 8996; RFC 9325)

Opportunistic TLS takes any certificate, since it would go in clear otherwise; a handshake that fails is followed by a second
connection in clear to the same host, as Postfix does at level `may`. Required and verified connections never go in clear.
Octets in clear that came with the 220 end the attempt at every level.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import structlog
from cryptography import x509

from mailward.delivery.ports import HostFailed, HostFault
from mailward.delivery.route import Target
from mailward.delivery.static_hop import Login
from mailward.model.tls import TlsLevel, TlsRequirement, TlsResult
from mailward.net.crowd import Crowd
from mailward.net.dane import NotProven, authorities_of, prove, why_unproven
from mailward.net.hop import SmtpHop, Timeouts
from mailward.net.tls import any_peer_context, peer_chain, proves_name, verifying_context
from mailward.net.wire import Wire
from mailward.protocol.sasl_client import choose
from mailward.protocol.smtp.client_states import Broken, Event, LoginRefused, State, TlsReady, TlsRefused

NOT_OFFERED = "the server does not offer STARTTLS"
X509_V_ERR_CERT_HAS_EXPIRED = 10  # as OpenSSL numbers it

log = structlog.get_logger("mailward.outbound")


class SmtpConnector:
    """Implements `delivery.ports.Connector`. source: addresses to connect from, at most one of each kind.

    crowd: counts connections to hosts that DNS named. password: what a secret of a smarthost holds; raises OSError or ValueError.
    """

    def __init__(
        self,
        hostname: str,
        *,
        source: tuple[str, ...] = (),
        timeouts: Timeouts | None = None,
        verifying: ssl.SSLContext | None = None,
        password: Callable[[str], str] | None = None,
        crowd: Crowd | None = None,
    ) -> None:
        self._hostname = hostname
        self._crowd = crowd or Crowd()
        self._password = password or _no_secret
        self._source = {ipaddress.ip_address(address).version: address for address in source}
        self._timeouts = timeouts or Timeouts()
        self._any_peer = any_peer_context()
        self._verifying = verifying or verifying_context()
        self._trusted: Sequence[x509.Certificate] | None = None

    async def connect(self, target: Target, domain: str, requirement: TlsRequirement) -> SmtpHop:
        # Of equals the route's own: it says whose name must be proven.
        requirement = max([*target.requirements, requirement], key=lambda one: one.rank)
        try:
            hop = await self._connect(target, domain, requirement)
        except HostFailed as failure:
            if failure.fault is not HostFault.TLS or requirement.level is not TlsLevel.OPPORTUNISTIC:
                raise
            log.warning("handshake failed, going in clear", host=target.host, address=target.address, problem=str(failure))
            hop = await self._connect(target, domain, None)
            hop.setback = failure
        hop.requirement = requirement
        return hop

    async def _connect(self, target: Target, domain: str, requirement: TlsRequirement | None) -> SmtpHop:
        """requirement: None goes in clear."""
        static = target.static
        hostname = self._hostname if static is None or not static.hostname else static.hostname
        leave = _nothing if target.is_routed else self._crowd.enter(target.address)
        try:
            wire = await self._open(target)
        except BaseException:
            leave()
            raise
        hop = SmtpHop(target, domain, wire, hostname, self._timeouts, leave)
        try:
            if static is not None and static.is_implicit and requirement is not None:
                await self._shake_hands(hop, domain, requirement)
            else:
                await self._opened(hop)
                if requirement is not None:
                    await self._protect(hop, domain, requirement)
            if static is not None and static.login is not None:
                await self._log_in(hop, static.login)
        except HostFailed as failure:
            failure.sending_ip = hop.sending_ip
            hop.abort()
            raise
        except BaseException:
            hop.abort()
            raise
        return hop

    async def _open(self, target: Target) -> Wire:
        try:
            async with asyncio.timeout(self._timeouts.connect_s):
                if target.is_socket:
                    _, wire = await asyncio.get_running_loop().create_unix_connection(Wire, target.address)
                else:
                    wire = await self._open_inet(target)
        except TimeoutError:
            raise HostFailed(HostFault.UNREACHABLE, f"no connection within {self._timeouts.connect_s:g} s") from None
        except OSError as error:
            raise HostFailed(HostFault.UNREACHABLE, f"no connection: {error.strerror or error}") from None
        return wire

    async def _open_inet(self, target: Target) -> Wire:
        version = ipaddress.ip_address(target.address).version
        own = target.static.source if target.static is not None else ()
        source = next((address for address in own if ipaddress.ip_address(address).version == version), self._source.get(version))
        _, wire = await asyncio.get_running_loop().create_connection(
            Wire,
            target.address,
            target.port,
            family=socket.AF_INET if version == 4 else socket.AF_INET6,
            local_addr=(source, 0) if source else None,
        )
        return wire

    async def _opened(self, hop: SmtpHop) -> None:
        """Through greeting and EHLO."""
        while hop.machine.state is State.OPENING:
            _usable(await hop.converse())

    async def _protect(self, hop: SmtpHop, domain: str, requirement: TlsRequirement) -> None:
        needed = requirement.level is not TlsLevel.OPPORTUNISTIC
        if not hop.machine.extensions.starttls:
            hop.setback = HostFailed(HostFault.NO_TLS, NOT_OFFERED, result=TlsResult.STARTTLS_NOT_SUPPORTED)
            if needed:
                await hop.close()
                raise hop.setback
            return
        hop.machine.start_tls()
        for event in _usable(await hop.converse()):
            match event:
                case TlsRefused(answer):
                    text = f"the server offers STARTTLS and refuses it: {answer}"
                    hop.setback = HostFailed(HostFault.TLS, text, answer, TlsResult.STARTTLS_NOT_SUPPORTED)
                    if needed:
                        raise hop.setback
                case TlsReady():
                    await self._shake_hands(hop, domain, requirement)

    async def _shake_hands(self, hop: SmtpHop, domain: str, requirement: TlsRequirement) -> None:
        verified = requirement.level is TlsLevel.VERIFIED
        by_authorities = verified and not requirement.tlsa
        host = requirement.names[0] if requirement.names else hop.target.host
        server_name = None if host == hop.target.address else host
        try:
            await hop.shake_hands(self._verifying if by_authorities else self._any_peer, server_name)
        except ssl.SSLCertVerificationError as error:
            expired = error.verify_code == X509_V_ERR_CERT_HAS_EXPIRED
            result = TlsResult.CERTIFICATE_EXPIRED if expired else TlsResult.CERTIFICATE_NOT_TRUSTED
            text = f"its certificate is not trusted: {error.verify_message}"
            raise HostFailed(HostFault.TLS, text, result=result) from None
        except (OSError, TimeoutError) as error:
            reason = getattr(error, "reason", None) or str(error) or type(error).__name__
            text = f"the TLS handshake failed: {reason}"
            raise HostFailed(HostFault.TLS, text, result=TlsResult.VALIDATION_FAILURE) from None
        hop.level = requirement.level if requirement.level is not TlsLevel.OPPORTUNISTIC else TlsLevel.REQUIRED
        if by_authorities:
            _check_name(hop, domain, requirement)
        elif verified:
            _check_records(hop, requirement)
        elif hop.ssl_object:
            names, _ = _names(hop, domain, requirement)
            hop.unproven = why_unproven(peer_chain(hop.ssl_object), self._authorities(), names, datetime.now(UTC))
        await self._opened(hop)

    async def _log_in(self, hop: SmtpHop, login: Login) -> None:
        """The password is read each time, so that a new one counts at once. It is never said in clear."""
        if hop.tls is None:
            raise HostFailed(HostFault.LOGIN, "there is no TLS to log in under")
        try:
            password = self._password(login.secret)
        except (OSError, ValueError) as error:
            raise _no_login(hop, login, f"its password cannot be read: {error}") from None
        offered = hop.machine.extensions.auth
        mechanism = choose(offered, login.user, password)
        if mechanism is None:
            raise _no_login(
                hop, login, f"the server offers no way to log in that is known here (AUTH {' '.join(sorted(offered))})"
            )
        hop.machine.log_in(mechanism)
        for event in _usable(await hop.converse()):
            if isinstance(event, LoginRefused):
                raise _no_login(hop, login, f"the server refuses the login: {event.text}")

    def _authorities(self) -> Sequence[x509.Certificate]:
        if self._trusted is None:
            self._trusted = authorities_of(self._verifying.get_ca_certs(binary_form=True))
        return self._trusted


def _names(hop: SmtpHop, domain: str, requirement: TlsRequirement) -> tuple[Sequence[str], bool]:
    """Those of which the certificate must have one, and whether the host's own is among them: one that only an unsigned answer of
    DNS named proves nothing by its own name, unless the requirement says so.
    """
    is_certain = hop.target.is_trusted or bool(requirement.names)
    return requirement.names or tuple(dict.fromkeys((hop.target.host, domain) if is_certain else (domain,))), is_certain


def _check_name(hop: SmtpHop, domain: str, requirement: TlsRequirement) -> None:
    names, is_certain = _names(hop, domain, requirement)
    if hop.ssl_object and any(proves_name(hop.ssl_object, name) for name in names):
        return
    why = "" if is_certain else f" (that {hop.target.host} serves it is not proven by DNSSEC)"
    text = f"its certificate does not name {' or '.join(names)}{why}"
    raise HostFailed(HostFault.TLS, text, result=TlsResult.CERTIFICATE_HOST_MISMATCH)


def _check_records(hop: SmtpHop, requirement: TlsRequirement) -> None:
    chain = peer_chain(hop.ssl_object) if hop.ssl_object else ()
    try:
        prove(chain, requirement.tlsa, requirement.names, datetime.now(UTC))
    except NotProven as error:
        raise HostFailed(HostFault.TLS, str(error), result=error.result) from None


def _nothing() -> None:
    """An admin's own hosts are not counted."""


def _no_secret(name: str) -> str:
    raise FileNotFoundError(f"there is no secret {name}")


def _no_login(hop: SmtpHop, login: Login, problem: str) -> HostFailed:
    log.error("no login at a smarthost", host=str(hop.target), user=login.user, secret=login.secret, problem=problem)
    return HostFailed(HostFault.LOGIN, f"no login as {login.user}: {problem}")


def _usable(events: list[Event]) -> list[Event]:
    for event in events:
        if isinstance(event, Broken):
            raise HostFailed(HostFault.UNREACHABLE, event.text, event.reply)
    return events
