"""How well must a connection be protected, who wants it so, and what came of it? The strictest of several requirements wins."""

import enum
from collections.abc import Sequence
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
    why the server would not have proven its name; "" when it would have, None when that is not known. is_routed: the admin named
    the host, so that it is nobody else's business.
    """

    policy: TlsPolicy
    mx_host: str
    receiving_ip: str
    sending_ip: str
    level: TlsLevel | None
    result: TlsResult | None = None
    detail: str = ""
    unproven: str | None = None
    is_routed: bool = False


@dataclass(frozen=True, slots=True)
class Tlsa:
    """A TLSA record that can be used with SMTP (RFC 6698 section 2.1; RFC 7672 section 3.1).

    usage: 2 for an authority's certificate, 3 for the server's own. selector: 0 the whole certificate, 1 its public key.
    matching: 0 for the octets themselves, 1 for SHA2-256, 2 for SHA2-512. data: those octets.
    """

    usage: int
    selector: int
    matching: int
    data: bytes


@dataclass(frozen=True, slots=True)
class TlsRequirement:
    """How well the connection to one host must be protected.

    why: one plain sentence that ends up in the log, in `explain` and in a bounce. policy: what others published that asks for
    it. Of VERIFIED: tlsa: the certificate must fit one of these, and then nothing else counts but, for usage 2, its names;
    names: it must have one of them, and the first is the one asked for; () stands for the domain, and for the host where that
    is certain. problem: what is wrong with the policy itself: a host that must be verified gets no mail then. testing: it is
    tried and told, and mail goes on by what else is required (RFC 8461 section 5).
    """

    level: TlsLevel
    why: str
    policy: TlsPolicy = NO_POLICY
    tlsa: tuple[Tlsa, ...] = ()
    names: tuple[str, ...] = ()
    problem: TlsResult | None = None
    testing: bool = False

    @property
    def is_barred(self) -> bool:
        """Nothing can meet it now, so that the host gets no mail."""
        return self.level is TlsLevel.VERIFIED and self.problem is not None

    @property
    def rank(self) -> tuple[int, int]:
        """Of two requirements for one host that with the higher rank holds: the stricter one; of equals DANE before MTA-STS
        (RFC 8461 section 2), MTA-STS before one that nothing published asks for.
        """
        return self.level.strength, _PRECEDENCE[self.policy.type]


_PRECEDENCE = {PolicyType.TLSA: 2, PolicyType.STS: 1, PolicyType.NONE: 0}
ANY_PEER = TlsRequirement(TlsLevel.OPPORTUNISTIC, "nobody asks for TLS")


@dataclass(frozen=True, slots=True)
class Protection:
    """What holds for one host. floor: no mail goes with less. tested: a higher one that is tried first, None for none."""

    floor: TlsRequirement
    tested: TlsRequirement | None = None


def protection_of(requirements: Sequence[TlsRequirement]) -> Protection:
    """The requirement that holds of several, of equals the first; opportunistic when there is none."""
    floor = _highest([one for one in requirements if not one.testing])
    testing = [one for one in requirements if one.testing]
    tested = _highest(testing) if testing else None
    return Protection(floor, tested if tested is not None and tested.rank > floor.rank else None)


def _highest(requirements: Sequence[TlsRequirement]) -> TlsRequirement:
    return max(requirements, key=lambda one: one.rank, default=ANY_PEER)
