"""Another IMAP server, by the library imapclient: folders, numbers, flags, dates, special uses and subscriptions.

Mailboxes are opened read-only, and bodies are fetched by BODY.PEEK[]: the server keeps its mail as it is. A connection that
breaks is made again once for each answer that is waited for.
"""

import imaplib
import ipaddress
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeVar

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import CapabilityError, IMAPClientError, LoginError

from mailward.app.moving.source import Folder, FolderError, Letter, Listing, Ref, SourceError, key_of
from mailward.app.moving.uidl_format import CYRUS, DOVECOT, UidlFormat
from mailward.formats.mailbox_names import INBOX, SEPARATOR, SPECIAL_USES

Tls = Literal["implicit", "starttls", "none"]
PORTS: dict[Tls, int] = {"implicit": 993, "starttls": 143, "none": 143}

_OTHER: dict[Tls, str] = {
    "implicit": "where the connection begins without TLS, as it does on port 143, it takes --tls starttls",
    "starttls": "where the connection begins with TLS, as it does on port 993, it takes --tls implicit",
    "none": "where the connection begins with TLS, as it does on port 993, it takes --tls implicit",
}
"""What may be meant when the server does not understand."""
_BATCH = 500
"""Messages whose sizes are asked for at once, by a command whose length every server takes."""
_CONNECT_S = 30.0
_ANSWER_S = 300.0

_UIDL_FORMATS = {"dovecot": DOVECOT, "cyrus": CYRUS}
"""Of servers by the first word of their names (RFC 2971), as their POP3 makes unique-ids unless it is told otherwise."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Login:
    """Where to and as whom. ca_file: of certificates to trust, None for those this machine trusts."""

    host: str
    port: int
    tls: Tls
    user: str
    password: str
    ca_file: Path | None = None


class ImapSource:
    """Connected and logged in; raises SourceError when that fails.

    uidl_format: of its POP3, None for that which its name promises.
    """

    def __init__(self, login: Login, uidl_format: UidlFormat | None = None) -> None:
        self._login = login
        self._client = self._connected()
        self._open: str | None = None
        self._uidl_format = uidl_format or _UIDL_FORMATS.get(self._server_name())
        self._uidvalidities: dict[str, int] = {}

    def _connected(self) -> IMAPClient:
        login = self._login
        where = f"{login.host} port {login.port}"
        if login.tls == "none" and not _is_loopback(login.host):
            raise SourceError(f"{where}: only on 127.0.0.1 and ::1 may a password go without TLS")
        name, _, port = login.host.rpartition(":")
        if name and port.isdigit() and ":" not in name:  # no IPv6 address
            raise SourceError(f"{login.host}: a host is named without its port; say {name} --port {port}")
        try:
            context = ssl.create_default_context(cafile=None if login.ca_file is None else str(login.ca_file))
            client = IMAPClient(
                login.host,
                login.port,
                ssl=login.tls == "implicit",
                ssl_context=context if login.tls == "implicit" else None,
                timeout=SocketTimeout(_CONNECT_S, _ANSWER_S),
            )
            client.normalise_times = False
            if login.tls == "starttls":
                client.starttls(context)
            if client.has_capability("AUTH=PLAIN"):
                client.plain_login(login.user, login.password)
            else:
                client.login(login.user, login.password)
        except ssl.SSLCertVerificationError as error:
            raise SourceError(f"{where}: its certificate is not to be trusted: {error.verify_message}; see --ca-file") from error
        except LoginError as error:
            said = _said(error)
            hint = "; it wants TLS first: --tls starttls" if "[PRIVACYREQUIRED]" in said else ""
            raise SourceError(f"{where}: the login of {login.user} was refused: {said}{hint}") from error
        except ssl.SSLError as error:
            raise SourceError(f"{where}: TLS was not agreed on ({error.reason}); {_OTHER[login.tls]}") from error
        except (CapabilityError, imaplib.IMAP4.abort, TimeoutError, ConnectionResetError) as error:
            raise SourceError(f"{where}: {_said(error)}; {_OTHER[login.tls]}") from error
        except (IMAPClientError, OSError) as error:
            raise SourceError(f"{where}: {_said(error)}") from error
        return client

    def _asked(self, ask: Callable[[IMAPClient], T], place: str | None = None) -> T:
        """An answer of the server, with this mailbox open. Raises IMAPClientError for a refusal, SourceError for all else."""
        for again in (True, False):
            try:
                if place is not None and self._open != place:
                    self._client.select_folder(place, readonly=True)
                    self._open = place
                return ask(self._client)
            except (imaplib.IMAP4.abort, OSError) as error:
                if not again:
                    raise SourceError(
                        f"{self._login.host}: the connection broke: {error}; run the command again to go on"
                    ) from error
            self._open = None
            self._client = self._connected()
        raise AssertionError

    def _server_name(self) -> str:
        """The first word of what the server calls itself, in small letters; "" where it does not say."""
        if not self._asked(lambda client: client.has_capability("ID")):
            return ""
        try:
            answer = self._asked(lambda client: client.id_())
        except IMAPClientError:
            return ""
        words = [word for word in answer[0] if isinstance(word, bytes)] if answer and isinstance(answer[0], tuple) else []
        fields = {key.lower(): value for key, value in zip(words[::2], words[1::2], strict=False)}
        return fields.get(b"name", b"").decode("ascii", "replace").lower().partition(" ")[0]

    def folders(self) -> list[Folder]:
        try:
            prefix = self._prefix()
            listed = self._asked(lambda client: client.list_folders())
            subscribed = {name for _, _, name in self._asked(lambda client: client.list_sub_folders())}
        except IMAPClientError as error:
            raise SourceError(f"{self._login.host}: {error}") from error
        found = []
        for attributes, separator, place in listed:
            words = {attribute.decode("ascii", "replace").lower() for attribute in attributes}
            if not {"\\noselect", "\\nonexistent"} & words:
                use = next((use for use in SPECIAL_USES if use.lower() in words), None)
                name = _name(str(place), (separator or b"").decode("ascii", "replace"), prefix)
                found.append(Folder(str(place), name, use, place in subscribed))
        return sorted(found, key=lambda folder: (folder.name != INBOX, folder.name))

    def _prefix(self) -> str:
        """What stands before the names of all folders but INBOX, as "INBOX." with some servers."""
        if not self._asked(lambda client: client.has_capability("NAMESPACE")):
            return ""
        personal = self._asked(lambda client: client.namespace()).personal
        return str(personal[0][0]) if personal else ""

    def listing(self, folder: Folder) -> Listing:
        self._open = None  # to learn how many there are now
        try:
            opened = self._asked(lambda client: client.select_folder(folder.place, readonly=True))
            self._open = folder.place
            uidvalidity, exists = int(opened[b"UIDVALIDITY"]), int(opened[b"EXISTS"])
            self._uidvalidities[folder.place] = uidvalidity
            refs = [ref for first in range(1, exists + 1, _BATCH) for ref in self._refs(folder, uidvalidity, first, exists)]
        except (IMAPClientError, KeyError) as error:
            raise FolderError(f"{self._login.host}: the folder {folder.place} cannot be listed: {error}") from error
        refs.sort(key=lambda ref: ref.uid)
        return Listing(uidvalidity, int(opened.get(b"UIDNEXT") or 0), tuple(refs))

    def _refs(self, folder: Folder, uidvalidity: int, first: int, exists: int) -> list[Ref]:
        def ask(client: IMAPClient) -> dict[int, dict[bytes, int]]:
            client.use_uid = False
            try:
                return dict(client.fetch(range(first, min(exists, first + _BATCH - 1) + 1), ["UID", "RFC822.SIZE"]))
            finally:
                client.use_uid = True

        user = f"{self._login.user}@{self._login.host}"
        return [
            Ref(key_of("imap", user, folder.place, uidvalidity, item[b"UID"]), "", item[b"UID"], item[b"RFC822.SIZE"])
            for item in self._asked(ask, folder.place).values()
            if b"UID" in item and b"RFC822.SIZE" in item
        ]

    def fetch(self, folder: Folder, refs: Sequence[Ref]) -> list[Letter]:
        try:
            return self._letters(folder, refs)
        except IMAPClientError as error:
            if len(refs) == 1:
                return [Letter(refs[0], None, problem=f"{folder.place} UID {refs[0].uid}: the server says: {error}")]
        return [letter for ref in refs for letter in self.fetch(folder, [ref])]

    def _letters(self, folder: Folder, refs: Sequence[Ref]) -> list[Letter]:
        wanted = ["FLAGS", "INTERNALDATE", "BODY.PEEK[]"]
        found = self._asked(lambda client: client.fetch([ref.uid for ref in refs], wanted), folder.place)
        uidvalidity = self._uidvalidities.get(folder.place, 0)
        uidls = [self._uidl_format.of(ref.uid, uidvalidity) if self._uidl_format else None for ref in refs]
        return [_letter(folder, ref, found.get(ref.uid, {}), uidl) for ref, uidl in zip(refs, uidls, strict=True)]

    def close(self) -> None:
        with suppress(IMAPClientError, OSError):
            self._client.logout()


def _letter(folder: Folder, ref: Ref, item: dict[bytes, object], uidl: str | None) -> Letter:
    octets, at, flags = item.get(b"BODY[]"), item.get(b"INTERNALDATE"), item.get(b"FLAGS")
    if not isinstance(octets, bytes) or not octets:
        return Letter(ref, None, problem=f"{folder.place} UID {ref.uid}: the server did not give it; it may have been deleted")
    names = (
        tuple(flag.decode("ascii", "replace") for flag in flags if isinstance(flag, bytes)) if isinstance(flags, tuple) else ()
    )
    return Letter(ref, octets, names, at if isinstance(at, datetime) else None, uidl)


def _said(error: Exception) -> str:
    """In the words of the server, which imaplib may have left as octets, or of this machine."""
    cause = error.__context__ if isinstance(error.__context__, imaplib.IMAP4.error) else error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    first = cause.args[0] if cause.args else ""
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(cause)


def _name(place: str, separator: str, prefix: str) -> str:
    if place.upper() == INBOX:
        return INBOX
    name = place.removeprefix(prefix)
    if separator and separator != SEPARATOR:
        name = name.replace(SEPARATOR, "_").replace(separator, SEPARATOR)
    return name


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
