"""What an admin may set for the tlsrpt plugin, and the fact it gives to policies."""

from dataclasses import dataclass
from datetime import timedelta

from mailward.api import Facts, Settings, normalise_domain


@dataclass(frozen=True)
class TlsrptSettings(Settings):
    """For what is sent (policies/outbound.yaml):

    reports_from: the address that daily reports come from; its domain is the one that reports, and must have a DKIM key. "" sends
    none. organization: how it calls itself in them; "" is that domain. spread: within so long after midnight (UTC) they leave.
    keep: how long it is remembered what connections came to.

    For what comes in (policies/inbound.yaml, and outbound.yaml for the DNS record):

    rua: the local-part that reports about our domains are asked to be sent to. keep: how long they are kept.
    """

    reports_from: str = ""
    organization: str = ""
    spread: timedelta = timedelta(hours=4)
    keep: timedelta = timedelta(days=90)
    rua: str = "postmaster"

    def __post_init__(self) -> None:
        """Raises ValueError for what is no address."""
        local_part, at, domain = self.reports_from.rpartition("@")
        if self.reports_from and not (at and _is_plain(local_part)):
            raise ValueError(f"reports_from: '{self.reports_from[:80]}' is no address; write tls-reports@example.org")
        if not _is_plain(self.rua):
            raise ValueError(f"rua: '{self.rua[:80]}' is no local-part; write postmaster, or another before the @")
        if domain:
            try:
                object.__setattr__(self, "reports_from", f"{local_part}@{normalise_domain(domain)}")
            except ValueError as error:
                raise ValueError(f"reports_from: '{domain[:80]}' is no domain: {error}") from None

    @property
    def domain(self) -> str:
        """The domain that reports, "" for none."""
        return self.reports_from.rpartition("@")[2]


@dataclass(frozen=True)
class TlsrptFacts(Facts):
    """report: "kept" or "refused" of a message that brings a TLS report for us, else ""."""

    report: str = ""


def _is_plain(local_part: str) -> bool:
    """A dot-atom that needs no quotes anywhere (RFC 5321 section 4.1.2), and no longer than one may be (4.5.3.1.1)."""
    return 0 < len(local_part) <= 64 and all(c.isascii() and (c.isalnum() or c in ".-_+=") for c in local_part)
