"""How well must a connection be protected, who wants it so, and what came of it? The strictest of several requirements wins."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class TlsLevel(enum.Enum):
    """Opportunistic: encrypted where the peer offers it. Required: never in clear. Verified: and the peer proves whose it is."""

    OPPORTUNISTIC = "opportunistic"
    REQUIRED = "required"
    VERIFIED = "verified"

    @property
    def strength(self) -> int:
        """0 is the weakest."""
        return _STRENGTH[self]


_STRENGTH = {TlsLevel.OPPORTUNISTIC: 0, TlsLevel.REQUIRED: 1, TlsLevel.VERIFIED: 2}


class PolicyType(enum.Enum):
    """Where a policy was published: TLSA records of the host, an MTA-STS policy of the domain, nowhere (RFC 8460 section 4.4)."""

    TLSA = "tlsa"
    STS = "sts"
    NONE = "no-policy-found"


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """A policy that others published, in the terms of a report (RFC 8460 section 4.2).

    domain: the one it is of: the TLSA base domain, or that of the MTA-STS policy; "" for none. strings: the TLSA records, or
    the lines of the policy; () when there are none that can be used. mx_hosts: the patterns of an MTA-STS policy.
    """

    type: PolicyType = PolicyType.NONE
    domain: str = ""
    strings: tuple[str, ...] = ()
    mx_hosts: tuple[str, ...] = ()


NO_POLICY = TlsPolicy()


class TlsResult(enum.Enum):
    """What was wrong with a connection or a policy (RFC 8460 section 4.3, "result type")."""

    STARTTLS_NOT_SUPPORTED = "starttls-not-supported"
    CERTIFICATE_HOST_MISMATCH = "certificate-host-mismatch"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_NOT_TRUSTED = "certificate-not-trusted"
    VALIDATION_FAILURE = "validation-failure"
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    STS_POLICY_FETCH_ERROR = "sts-policy-fetch-error"
    STS_POLICY_INVALID = "sts-policy-invalid"
    STS_WEBPKI_INVALID = "sts-webpki-invalid"


@dataclass(frozen=True, slots=True)
class TlsSession:
    """One connection to one host, as far as TLS goes. Hosts that could not be talked to at all have none.

    policy: the one that was applied. level: what the connection fulfilled, opportunistic in clear; None when it was not used for
    mail. result: what was wrong, None when it was all that the policy asks for; mail may have gone all the same. detail: in
    plain words. sending_ip: "" when it never came to a connection. unproven: of an encrypted one that nobody asked for proof,
    why the server would not have proven its name; "" when it would have, None when that is not known.
    """

    policy: TlsPolicy
    mx_host: str
    receiving_ip: str
    sending_ip: str
    level: TlsLevel | None
    result: TlsResult | None = None
    detail: str = ""
    unproven: str | None = None


@dataclass(frozen=True, slots=True)
class TlsRequirement:
    """why: one plain sentence that ends up in the log, in `explain` and in a bounce. policy: what others published that asks
    for it.
    """

    level: TlsLevel
    why: str
    policy: TlsPolicy = NO_POLICY


def strictest(requirements: Iterable[TlsRequirement]) -> TlsRequirement:
    """The one to keep; opportunistic when there is none. Of equals the first."""
    return max(
        requirements, key=lambda r: r.level.strength, default=TlsRequirement(TlsLevel.OPPORTUNISTIC, "nobody asks for TLS")
    )
