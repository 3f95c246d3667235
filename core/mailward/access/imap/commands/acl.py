"""GETACL, SETACL, DELETEACL, LISTRIGHTS and MYRIGHTS (RFC 4314 section 3).

The owner has all rights and nobody takes them from him, so that no mailbox is left without one who can give them.
"""

import structlog

from mailward.access.imap.commands.listing import rights_line
from mailward.access.imap.desk import MAX_GUESSES_AN_HOUR
from mailward.access.imap.identifiers import ACCOUNT, Identifiers, Nobody, change, gives
from mailward.access.imap.reach import Reached
from mailward.access.imap.rights import EVERY, OBSOLETE, read_change, shown
from mailward.access.imap.session import Session
from mailward.access.imap.working import No
from mailward.formats.imap import string
from mailward.protocol.imap.arguments import Arguments, BadSyntax
from mailward.store.ops import RIGHTS, Mode

log = structlog.get_logger("mailward.imap")


async def get_acl(session: Session, arguments: Arguments) -> str:
    arguments.space()
    name = session.read_name(arguments)
    arguments.end()
    reached = await session.find(name, "a")
    granted = await session.blocking(lambda: reached.store.grants().get(reached.info.id, {}))
    name_of = _identifiers(session).name
    told = [(name_of(f"{ACCOUNT}{reached.owner}"), shown(EVERY))]
    told += [(name_of(grantee), shown(rights)) for grantee, rights in granted.items()]
    pairs = [b" %b %b" % (_identifier(who), rights.encode("ascii")) for who, rights in told if who is not None]
    session.untagged(b"ACL %b%b" % (session.name_octets(reached.info.name), b"".join(pairs)))
    return ""


async def set_acl(session: Session, arguments: Arguments) -> str:
    arguments.space()
    name = session.read_name(arguments)
    arguments.space()
    identifier = _read_identifier(arguments)
    arguments.space()
    mode, rights = read_change(_text(arguments.astring()))
    arguments.end()
    return await _change(session, await session.find(name, "a"), identifier, mode, rights)


async def delete_acl(session: Session, arguments: Arguments) -> str:
    arguments.space()
    name = session.read_name(arguments)
    arguments.space()
    identifier = _read_identifier(arguments)
    arguments.end()
    return await _change(session, await session.find(name, "a"), identifier, "replace", "")


async def list_rights(session: Session, arguments: Arguments) -> str:
    arguments.space()
    name = session.read_name(arguments)
    arguments.space()
    identifier = _read_identifier(arguments)
    arguments.end()
    reached = await session.find(name, "a")
    if _identifiers(session).grantee(identifier) == f"{ACCOUNT}{reached.owner}":
        rights = shown(EVERY)
    else:  # whoever it is, if anybody
        rights = " ".join(['""', *RIGHTS, *OBSOLETE])
    told = session.name_octets(reached.info.name), _identifier(identifier), rights.encode("ascii")
    session.untagged(b"LISTRIGHTS %b %b %b" % told)
    return ""


async def my_rights(session: Session, arguments: Arguments) -> str:
    arguments.space()
    name = session.read_name(arguments)
    arguments.end()
    session.untagged(rights_line(session, await session.find(name)))
    return ""


async def _change(session: Session, reached: Reached, identifier: str, mode: Mode, rights: str) -> str:
    identifiers, guesses, account = _identifiers(session), session.desk.guesses, session.reach.account
    if identifier.startswith("-"):
        raise No("Rights are given here, and not taken from those who have them otherwise", "CANNOT")
    is_guess = gives(mode, rights)
    # It counts before it is looked up: as many sessions as an account has would look up one more each.
    if is_guess and not guesses.take(account):
        raise No("Too many identifiers named nobody; try again in an hour", "LIMIT")
    owner, store, mailbox = reached.owner, reached.store, reached.info.id
    try:
        await session.blocking(lambda: change(identifiers, owner, store, mailbox, identifier, mode, rights))
    except Nobody as error:
        is_guess = False
        if not guesses.left(account):
            log.warning("identifiers of nobody", account=account, in_an_hour=MAX_GUESSES_AN_HOUR)
        raise No(str(error), "CANNOT") from error
    finally:
        if is_guess:  # it named somebody, or was not looked up
            guesses.give_back(account)
    return ""


def _identifiers(session: Session) -> Identifiers:
    """Raises No."""
    if session.desk.identifiers is None:
        raise No("Mailboxes are not shared here", "CANNOT")
    return session.desk.identifiers


def _read_identifier(arguments: Arguments) -> str:
    """Raises BadSyntax."""
    identifier = _text(arguments.astring())
    if not identifier.isprintable() or not identifier:
        raise BadSyntax("An identifier is printable text")
    return identifier


def _text(octets: bytes) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise BadSyntax("Identifiers and rights are UTF-8") from None


def _identifier(text: str) -> bytes:
    return string(text.encode("utf-8"))
