"""GETQUOTA and GETQUOTAROOT (RFC 9208). All mailboxes of an account share one root, which has a name of no characters."""

from mailward.access.imap.session import Session
from mailward.access.imap.telling import No
from mailward.model.limits import NO_LIMITS
from mailward.protocol.imap.arguments import Arguments
from mailward.store.base import Quota

ROOT = '""'
_STORAGE_OCTETS = 1024


async def get_quota(session: Session, arguments: Arguments) -> str:
    arguments.space()
    root = arguments.astring()
    arguments.end()
    quota = await session.blocking(session.store.quota)
    if root or quota.limits == NO_LIMITS:
        raise No("There is no such quota root", "NONEXISTENT")
    session.untagged(_shown(quota))
    return ""


async def get_quota_root(session: Session, arguments: Arguments) -> str:
    """An account without limits has no root."""
    arguments.space()
    name = session.read_name(arguments)
    arguments.end()
    info = await session.blocking(lambda: session.store.mailbox(name))
    quota = await session.blocking(session.store.quota)
    has_root = quota.limits != NO_LIMITS
    session.untagged(b"QUOTAROOT " + session.name_octets(info.name) + (f" {ROOT}".encode("ascii") if has_root else b""))
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
