"""LIST, LSUB, STATUS, CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 3501 section 6.3, RFC 5258, 5819, 6154)."""

from mailward.access.imap.session import No, Session
from mailward.formats.imap import string
from mailward.protocol.imap.arguments import Arguments, BadSyntax
from mailward.protocol.imap.names import SEPARATOR, decode_name, encode_name, matcher
from mailward.store.base import CreateMailbox, DeleteMailbox, MailboxInfo, Op, RenameMailbox, Subscribe

STATUS_ITEMS = ("MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN")
SELECT_OPTIONS = ("SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE")
RETURN_OPTIONS = ("SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "STATUS")
MAX_PATTERNS = 20


async def list_(session: Session, arguments: Arguments) -> str:
    arguments.space()
    select: list[str] = []
    if arguments.looks_like(b"("):
        select = arguments.parenthesised(arguments.atom, allow_empty=True)
        arguments.space()
    reference = arguments.astring()
    arguments.space()
    if arguments.looks_like(b"("):
        patterns = arguments.parenthesised(arguments.list_mailbox)
    else:
        patterns = [arguments.list_mailbox()]
    returned, status = _return_options(arguments)
    arguments.end()
    if unknown := set(select) - set(SELECT_OPTIONS) or len(patterns) > MAX_PATTERNS:
        raise BadSyntax(f"Unknown selection option or too many patterns: {unknown}")
    if patterns == [b""] and not select:
        session.untagged(b'LIST (\\Noselect) "/" ""')
        return ""
    infos = await session.blocking(session.store.mailboxes)
    matchers = [matcher(_loose(reference), _loose(pattern)) for pattern in patterns]
    names = {info.name for info in infos}
    for info in infos:
        if not any(m.fullmatch(info.name) for m in matchers):
            continue
        if ("SUBSCRIBED" in select and not info.subscribed) or ("SPECIAL-USE" in select and not info.special_use):
            continue
        attributes = _attributes(info, names)
        if info.subscribed and ("SUBSCRIBED" in select or "SUBSCRIBED" in returned):
            attributes.append("\\Subscribed")
        session.untagged(b'LIST (%b) "/" %b' % (" ".join(attributes).encode("ascii"), name_octets(info.name)))
        if status:
            session.untagged(_status_line(info, status))
    return ""


def _return_options(arguments: Arguments) -> tuple[list[str], list[str]]:
    status: list[str] = []

    def option() -> str:
        word = arguments.atom()
        if word not in RETURN_OPTIONS:
            raise BadSyntax("Unknown return option")
        if word == "STATUS":
            arguments.space()
            status.extend(_status_items(arguments))
        return word

    if not arguments.take(b" "):
        return [], status
    arguments.expect(b"RETURN ")
    return arguments.parenthesised(option, allow_empty=True), status


async def lsub(session: Session, arguments: Arguments) -> str:
    arguments.space()
    reference = arguments.astring()
    arguments.space()
    pattern = arguments.list_mailbox()
    arguments.end()
    wanted = matcher(_loose(reference), _loose(pattern))
    infos = await session.blocking(session.store.mailboxes)
    names = {info.name for info in infos}
    for info in infos:
        if info.subscribed and wanted.fullmatch(info.name):
            attributes = " ".join(_attributes(info, names)).encode("ascii")
            session.untagged(b'LSUB (%b) "/" %b' % (attributes, name_octets(info.name)))
    return ""


def _loose(octets: bytes) -> str:
    """A pattern as text: names in it are modified UTF-7, wildcards stay."""
    text = octets.decode("ascii", "replace")
    if "&" not in text:
        return text
    out = ""
    for part in text.split(SEPARATOR):
        plain = part.replace("*", "").replace("%", "")
        decoded = decode_name(plain.encode("ascii", "replace")) if plain and plain == part else part
        out += (SEPARATOR if out else "") + decoded
    return out


def _attributes(info: MailboxInfo, names: set[str]) -> list[str]:
    prefix = info.name + SEPARATOR
    has_children = any(name.startswith(prefix) for name in names)
    found = ["\\HasChildren" if has_children else "\\HasNoChildren"]
    if info.special_use:
        found.append(info.special_use)
    return found


def name_octets(name: str) -> bytes:
    return string(encode_name(name))


async def status(session: Session, arguments: Arguments) -> str:
    arguments.space()
    name = decode_name(arguments.astring())
    arguments.space()
    items = _status_items(arguments)
    arguments.end()
    info = await session.blocking(lambda: session.store.mailbox(name))
    session.untagged(_status_line(info, items))
    return ""


def _status_items(arguments: Arguments) -> list[str]:
    items = arguments.parenthesised(arguments.atom)
    if set(items) - set(STATUS_ITEMS):
        raise BadSyntax("Unknown STATUS item")
    return list(dict.fromkeys(items))


def _status_line(info: MailboxInfo, items: list[str]) -> bytes:
    values = {
        "MESSAGES": info.exists,
        "RECENT": 0,
        "UIDNEXT": info.uidnext,
        "UIDVALIDITY": info.uidvalidity,
        "UNSEEN": info.unseen,
    }
    shown = " ".join(f"{item} {values[item]}" for item in items)
    return b"STATUS %b (%b)" % (name_octets(info.name), shown.encode("ascii"))


async def create(session: Session, arguments: Arguments) -> str:
    # A trailing separator declares that names below are meant (RFC 3501 section 6.3.3).
    return await _apply(session, CreateMailbox(_one_name(arguments, trailing=True)))


async def delete(session: Session, arguments: Arguments) -> str:
    return await _apply(session, DeleteMailbox(_one_name(arguments)))


async def rename(session: Session, arguments: Arguments) -> str:
    arguments.space()
    old = decode_name(arguments.astring())
    arguments.space()
    new = decode_name(arguments.astring())
    arguments.end()
    return await _apply(session, RenameMailbox(old, new))


async def subscribe(session: Session, arguments: Arguments) -> str:
    return await _apply(session, Subscribe(_one_name(arguments), True))


async def unsubscribe(session: Session, arguments: Arguments) -> str:
    return await _apply(session, Subscribe(_one_name(arguments), False))


def _one_name(arguments: Arguments, *, trailing: bool = False) -> str:
    arguments.space()
    octets = arguments.astring()
    arguments.end()
    return decode_name(octets.removesuffix(b"/") if trailing else octets)


async def _apply(session: Session, op: Op) -> str:
    if isinstance(op, CreateMailbox) and op.name == "INBOX":
        raise No("INBOX is always there", "ALREADYEXISTS")
    await session.blocking(lambda: session.store.apply([op]))
    return ""
