"""What does a domain's MTA-STS policy ask of the connection to one of its hosts? (RFC 8461 sections 4 and 5)"""

from mailward.api import MailHost, PolicyType, Services, TlsLevel, TlsPolicy, TlsRequirement, TlsResult
from mailward_plugins.encryption.sts_book import StsBook


async def sts_requirement(host: MailHost, domain: str, services: Services) -> TlsRequirement:
    """domain: where the mail goes."""
    if host.is_routed or domain.startswith("["):
        return _none("MTA-STS: it is not for hosts that an admin or an address names")
    kept, failure = await services.memory.of(StsBook).policy(domain, services)
    if kept is None and failure is None:
        return _none(f"MTA-STS: {domain} has no policy")
    if kept is None and failure is not None:
        why = f"MTA-STS: the policy of {domain} cannot be had: {failure.text}"
        return TlsRequirement(TlsLevel.OPPORTUNISTIC, why, TlsPolicy(PolicyType.STS, domain), problem=failure.result)
    assert kept is not None
    policy = kept.policy
    if policy.mode == "none":
        return _none(f"MTA-STS: the policy of {domain} has mode none")
    known = TlsPolicy(PolicyType.STS, domain, policy.lines, policy.mx_hosts)
    testing = policy.mode == "testing"
    why = f"MTA-STS: the policy of {domain} has mode {policy.mode}"
    if failure is not None:
        why += f" (kept until {kept.expires_at:%Y-%m-%d}; {failure.text})"
    if not policy.names(host.name):
        why += f" and does not name {host.name}, so that it gets no mail" if not testing else f" and does not name {host.name}"
        return TlsRequirement(TlsLevel.VERIFIED, why, known, problem=TlsResult.VALIDATION_FAILURE, testing=testing)
    return TlsRequirement(TlsLevel.VERIFIED, why, known, names=(host.name,), testing=testing)


def _none(why: str) -> TlsRequirement:
    return TlsRequirement(TlsLevel.OPPORTUNISTIC, why)
