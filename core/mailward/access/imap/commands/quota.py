"""GETQUOTA and GETQUOTAROOT (RFC 9208). All mailboxes of an account share one root, which has a name of no characters."""

from mailward.access.imap.session import Session
from mailward.access.imap.working import No
from mailward.model.limits import NO_LIMITS
from mailward.protocol.imap.arguments import Arguments
from mailward.store.base import Quota

ROOT = '""'
_STORAGE_OCTETS = 1024


async def get_quota(session: Session, arguments: Arguments) -> str:
    arguments.space()
    root = arguments.astring()
    arguments.end()
    quota = await session.blocking(session.own.quota)
    if root or quota.limits == NO_LIMITS:
        raise No("There is no such quota root", "NONEXISTENT")
    session.untagged(_shown(quota))
    return ""


async def get_quota_root(session: Session, arguments: Arguments) -> str:
    """An account without limits has no root. How much others hold and may hold is their own affair."""
    arguments.space()
    name = session.read_name(arguments)
    arguments.end()
    reached = await session.find(name, "r")
    quota = await session.blocking(session.own.quota)
    has_root = reached.is_own and quota.limits != NO_LIMITS
    session.untagged(b"QUOTAROOT " + session.name_octets(reached.info.name) + (f" {ROOT}".encode("ascii") if has_root else b""))
    if has_root:
        session.untagged(_shown(quota))
    return ""


def _shown(quota: Quota) -> str:
    """Resources without a limit are left out."""
    limits = quota.limits
    resources = []
    if limits.octets is not None:
        resources.append(f"STORAGE {-(-quota.octets // _STORAGE_OCTETS)} {-(-limits.octets // _STORAGE_OCTETS)}")
    if limits.messages is not None:
        resources.append(f"MESSAGE {quota.messages} {limits.messages}")
    return f"QUOTA {ROOT} ({' '.join(resources)})"
