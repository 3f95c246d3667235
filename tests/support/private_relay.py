"""Relaying by the shipped encryption plugin over real DNS and real connections, without a queue: one attempt for one message."""

import ipaddress
import ssl
from collections.abc import Mapping
from functools import partial
from typing import Any

from mailward.api import Http, Relaying, Services, TlsRequirement
from mailward.api.services import Resolver
from mailward.delivery.relay import Attempt, Errand, Relay
from mailward.delivery.route import Router
from mailward.formats.address import parse_mailbox
from mailward.model.address import ForwardPath, ReversePath
from mailward.model.ids import QueueId
from mailward.net.connect import SmtpConnector
from mailward.net.hop import Timeouts
from mailward.pipeline.relays import Relays
from mailward.protocol.smtp.outgoing import OutgoingMail
from mailward.testing import FakeClock, FakeCredentials, FakeHttp, MemoryKeyValue, MemoryLog, MemoryMetrics, MemorySecrets
from mailward.testing.fakes import RunDirectly, SentMail
from mailward.testing.policies import made_policy

SHORT = Timeouts(connect_s=5, greeting_s=5, command_s=5, handshake_s=5, data_s=5, message_s=10, goodbye_s=0.5)
SENDER = ReversePath(parse_mailbox("ann@example.org"))


class PrivateRelay:
    """port: of the hosts found by MX, all of them on loopback. settings: of the encryption plugin."""

    def __init__(
        self,
        resolver: Resolver,
        port: int,
        settings: Mapping[str, Any] | None = None,
        *,
        verifying: ssl.SSLContext | None = None,
        http: Http | None = None,
        kept: MemoryKeyValue | None = None,
        clock: FakeClock | None = None,
    ) -> None:
        self.clock, self.log, self.kept = clock or FakeClock(), MemoryLog(), kept or MemoryKeyValue()
        web = http or FakeHttp()
        services = Services(
            resolver,
            self.clock,
            self.kept,
            self.log,
            RunDirectly(),
            MemorySecrets(),
            FakeCredentials(),
            SentMail(),
            web,
            MemoryMetrics(),
        )
        self.services = services
        policy, host = made_policy("outbound", ["encryption"], {"encryption": dict(settings or {})}, {})
        self.rules = Relays(policy, host, lambda name: services)
        self.router = Router(
            resolver, hostname="mail.example.org", routes={}, port=port, allowed=[ipaddress.ip_network("127.0.0.0/8")]
        )
        self._relay = Relay(self.router, SmtpConnector("mail.example.org", timeouts=SHORT, verifying=verifying))

    def relaying(self, domain: str, *, tls_optional: bool = False) -> Relaying:
        to = (f"bob@{domain}",)
        return Relaying(QueueId("a" * 16), domain, "submission", "ann@example.org", "ann@example.org", to, tls_optional)

    async def asked(self, domain: str) -> tuple[TlsRequirement, ...]:
        """What is required of the domain's first host."""
        found = await self.router.find(domain)
        assert isinstance(found, tuple), found
        return await self.rules.tls_requirements(self.relaying(domain), found[0].mail_host)

    async def send(self, domain: str, *, require_tls: bool = False, tls_optional: bool = False) -> Attempt:
        """One attempt; its connection is closed."""
        path = ForwardPath(parse_mailbox(f"bob@{domain}"))
        mail = OutgoingMail(SENDER, (path,), b"Subject: to " + domain.encode() + b"\r\n\r\nx\r\n", require_tls=require_tls)
        requirements = partial(self.rules.tls_requirements, self.relaying(domain, tls_optional=tls_optional))

        async def taken(_: object) -> None:
            pass

        async def seven_bits() -> bytes:
            raise ValueError

        attempt = await self._relay.attempt(Errand(domain, mail, requirements, taken, seven_bits), None)
        if attempt.hop is not None:
            await attempt.hop.close()
        return attempt


def fate_of(attempt: Attempt) -> tuple[str, str, str]:
    """Result, enhanced status and text for the only recipient."""
    (fate,) = attempt.fates.values()
    return fate.result.name, fate.status, fate.text
