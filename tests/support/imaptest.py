"""Runs dovecot/imaptest's scripted tests against our sessions (format: the corpus' README and upstream's scripted_test.md)."""

import re
from dataclasses import dataclass, field
from itertools import cycle

from support.imap import Client, Office
from support.imap_replies import Data, Failed, loosely, parse

_VARIABLE = re.compile(r"\$\$|\$\{(\w+)\}|\$(\w+)")
_PAIRS = {"fetch", "status"}
_OF_THE_MBOX = re.compile(rb"append(?: (\S+)(?: (\([^)]*\)))?)?")
"""What is appended is the next message of the script's mbox."""


@dataclass
class Command:
    """One command of a script. expected, banned: untagged replies. status: "ok", "no", "bad" or "" for any."""

    connection: int
    status: str
    text: bytes
    expected: list[bytes] = field(default_factory=list)
    banned: list[bytes] = field(default_factory=list)
    tagged: bytes = b""


@dataclass(frozen=True)
class Mail:
    """One message of an mbox. at: what its From line tells, as APPEND takes it."""

    octets: bytes
    at: str


@dataclass
class Script:
    name: str
    headers: dict[str, str]
    commands: list[Command]
    messages: list[Mail]

    @property
    def capabilities(self) -> set[str]:
        return set(self.headers.get("capabilities", "").upper().split())


def read_scripts(files: dict[str, bytes]) -> list[Script]:
    """All scripts of the archive; files: content by member name."""
    named = {name.removeprefix("./"): octets for name, octets in files.items()}
    default = read_mbox(named["default.mbox"])
    found = []
    for name, octets in sorted(named.items()):
        if not name.endswith(".mbox"):
            mbox = named.get(f"{name}.mbox")
            found.append(read_script(name, octets.decode("latin-1"), default if mbox is None else read_mbox(mbox)))
    return found


def read_mbox(octets: bytes) -> list[Mail]:
    parts = re.split(rb"(?m)^(From .*)\n", octets)[1:]
    last = len(parts) - 1
    return [
        Mail(
            (part if 2 * n + 1 == last else part.removesuffix(b"\n")).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
            _internal_date(line),
        )
        for n, (line, part) in enumerate(zip(parts[::2], parts[1::2], strict=True))
    ]


def _internal_date(line: bytes) -> str:
    """`"22-Feb-2008 17:06:23 +0000" ` of a line `From user@domain  Fri Feb 22 17:06:23 2008`."""
    month, day, time, year, *zone = line.decode("ascii").split()[3:]
    return f'"{int(day):2d}-{month}-{year} {time} {(zone or ["+0000"])[0]}" '


def read_script(name: str, text: str, messages: list[Mail]) -> Script:
    lines = _joined(text.split("\n"))
    headers: dict[str, str] = {}
    while lines and (match := re.fullmatch(r"([a-z_]+):\s*(.*)", lines[0])):
        headers[match[1]] = match[2]
        lines.pop(0)
    many = int(headers.get("connections", "1")) > 1
    commands: list[Command] = []
    for line in lines:
        if not line or line.startswith("#"):
            continue
        if line.startswith(("* ", "! ")):
            (commands[-1].expected if line[0] == "*" else commands[-1].banned).append(line[2:].encode("latin-1"))
            continue
        connection = 1
        if many and (match := re.match(r"(\d+) ", line)):
            connection, line = int(match[1]), line[match.end() :]
        match = re.match(r'(ok|no|bad|"")(?: |$)', line)
        if match is not None and commands and commands[-1].status == "?":
            commands[-1].status, commands[-1].tagged = match[1], line[match.end() :].encode("latin-1")
        elif match is not None:
            commands.append(Command(connection, match[1].strip('"'), line[match.end() :].encode("latin-1")))
        else:
            commands.append(Command(connection, "?", line.encode("latin-1")))
    return Script(name, headers, commands, messages)


def _joined(lines: list[str]) -> list[str]:
    """Lines with `{{{ ... }}}` written as literals."""
    found: list[str] = []
    rest = iter(lines)
    for line in rest:
        while line.endswith("{{{"):
            held = []
            for inner in rest:
                if inner.startswith("}}}"):
                    break
                held.append(inner)
            octets = "\r\n".join(held)
            line = f"{line[:-3]}{{{len(octets)}}}\r\n{octets}{inner[3:]}"
        found.append(line)
    return found


class Run:
    """One script on a new account."""

    def __init__(self, office: Office, script: Script, account: str) -> None:
        self._office = office
        self._script = script
        self._account = account
        self._variables = {
            "mailbox": "imaptest",
            "mailbox_url": "imaptest",
            "user": f"{account}@example.test",
            "username": account,
            "password": "secret",
        }
        self._messages = cycle(script.messages)
        self._clients: list[Client] = []

    async def run(self) -> None:
        """Raises Failed."""
        headers = self._script.headers
        state = headers.get("state", "selected")
        try:
            for _ in range(int(headers.get("connections", "1"))):
                client = Client(self._office)
                self._clients.append(client)
                if state == "nonauth":
                    await client.line()
                else:
                    await client.login(self._account)
            if state in ("created", "appended", "selected"):
                await self._clients[0].ok("CREATE imaptest")
            wanted = headers.get("messages", "0")
            for _ in range(len(self._script.messages) if wanted == "all" else int(wanted)):
                await self._append(self._clients[0], "imaptest")
            if state == "selected":
                for client in self._clients:
                    await client.ok("SELECT imaptest")
            for command in self._script.commands:
                await self._command(command)
        finally:
            for client in self._clients:
                await client.close()

    async def _append(self, client: Client, mailbox: str, flags: str = "") -> list[bytes]:
        mail = next(self._messages)
        return await client.command(f"APPEND {mailbox} {flags}{mail.at}{{{len(mail.octets)}+}}\r\n".encode() + mail.octets)

    async def _command(self, command: Command) -> None:
        client = self._clients[command.connection - 1]
        if match := _OF_THE_MBOX.fullmatch(command.text):
            mailbox, flags = self._filled((match[1] or b"$mailbox").decode()), (match[2] or b"").decode()
            replies = await self._append(client, mailbox, flags and f"{flags} ")
        else:
            text = self._filled(command.text.decode("latin-1")).encode("latin-1")
            replies = await client.command(re.sub(rb"\{(\d+)\}\r\n", rb"{\1+}\r\n", text))
        self._variables["tag"] = client.tag
        where = f"{self._script.name}: {command.text.decode('latin-1')[:200]}"
        tagged = replies.pop()
        word = tagged.split(b" ")[0].decode().lower()
        if command.status not in ("", "?", word) and command.status.strip('"'):
            raise Failed(f"{where}: {tagged!r} instead of {command.status}")
        if command.tagged and not self._matches(parse(command.tagged), loosely(tagged)[1:], prefix=True):
            raise Failed(f"{where}: {tagged!r} instead of {command.tagged!r}")
        numbered = _numbered(replies)
        for expected in command.expected:
            for place, (start_number, reply) in enumerate(numbered):
                if self._reply_matches(expected, reply, start_number):
                    del numbered[place]
                    break
            else:
                raise Failed(f"{where}: no reply is {expected!r} among {replies!r}")
        for banned in command.banned:
            if any(self._reply_matches(banned, reply, start_number) for start_number, reply in numbered):
                raise Failed(f"{where}: {banned!r} is among {replies!r}")

    def _filled(self, text: str) -> str:
        def value(match: re.Match[str]) -> str:
            return "$" if match[0] == "$$" else self._variables[match[1] or match[2]]

        return _VARIABLE.sub(value, text)

    def _reply_matches(self, expected: bytes, reply: bytes, start_number: int | None) -> bool:
        data, wanted = loosely(reply), parse(expected)
        if isinstance(wanted[0], str) and re.fullmatch(r"\$\d+", wanted[0]):
            if start_number != int(wanted[0][1:]):
                return False
            wanted, data = wanted[1:], data[1:]
        kept = dict(self._variables)
        words = [word.lower() for word in data[:2] if isinstance(word, str)]
        kind = next((word for word in words if not word.isdigit()), "")
        if self._matches(wanted, data, prefix=kind in ("ok", "no", "bad", "bye"), kind=kind):
            return True
        self._variables = kept
        return False

    def _matches(self, wanted: list[Data], data: list[Data], *, prefix: bool = False, kind: str = "") -> bool:
        directives = {item for item in wanted if isinstance(item, str) and item.startswith("$!")}
        wanted = [item for item in wanted if isinstance(item, list) or item not in directives]
        loose = any(directive.startswith("$!unordered") for directive in directives)
        pairs = kind in _PAIRS and len(wanted) % 2 == 0
        if kind == "flags":
            return self._all_found(wanted, [flag for flag in data if flag != "\\Recent" or "\\recent" in wanted], exact=True)
        if kind == "attributes":
            return self._all_found(wanted, data, exact=False)
        if loose and not wanted:
            return True
        if kind in ("fetch-list", "status-list") or (loose and pairs):
            return self._pairs_found(wanted, data)
        if loose:
            return self._all_found(wanted, data, exact=False)
        if len(wanted) > len(data) or (len(wanted) < len(data) and not prefix):
            return False
        return all(
            self._one(item, there, _kind_of(kind, place, wanted))
            for place, (item, there) in enumerate(zip(wanted, data, strict=False))
        )

    def _pairs_found(self, wanted: list[Data], data: list[Data]) -> bool:
        for name, value in zip(wanted[::2], wanted[1::2], strict=True):
            for other, there in zip(data[::2], data[1::2], strict=True):
                if _folded(name) == _folded(other):
                    if not self._one(value, there, "flags" if _folded(name) == "flags" else ""):
                        return False
                    break
            else:
                return False
        return True

    def _all_found(self, wanted: list[Data], data: list[Data], *, exact: bool) -> bool:
        rest = list(data)
        for item in wanted:
            for place, there in enumerate(rest):
                if self._one(item, there, ""):
                    del rest[place]
                    break
            else:
                return False
        return not rest or not exact

    def _one(self, wanted: Data, there: Data, kind: str) -> bool:
        if isinstance(wanted, list):
            return isinstance(there, list) and self._matches(wanted, there, kind=kind)
        if wanted == "$":
            return True
        single = re.fullmatch(r"\$(?:\{)?(\w+)\}?", wanted)
        if single and single[1] not in self._variables:
            if isinstance(there, list):
                return False
            self._variables[single[1]] = there
            return True
        if isinstance(there, list):
            return False
        try:
            return self._filled(wanted).lower() == there.lower()
        except KeyError:
            return False


def _folded(data: Data) -> str:
    return data.lower() if isinstance(data, str) else ""


def _kind_of(kind: str, place: int, wanted: list[Data]) -> str:
    """What a list inside a reply is."""
    if kind in ("fetch", "status") and isinstance(wanted[place], list):
        return f"{kind}-list"
    if kind == "flags":
        return "flags"
    return "attributes" if kind in ("list", "lsub") and place == 1 else ""


def _numbered(replies: list[bytes]) -> list[tuple[int | None, bytes]]:
    """Replies with the number that their message had when the command began."""
    numbers = list(range(1, 20000))
    found: list[tuple[int | None, bytes]] = []
    for reply in replies:
        match = re.match(rb"(?i)\* (\d+) (EXPUNGE|FETCH)", reply)
        if match is None:
            found.append((None, reply))
            continue
        number = int(match[1])
        found.append((numbers[number - 1], reply))
        if match[2].upper() == b"EXPUNGE":
            del numbers[number - 1]
    return found
