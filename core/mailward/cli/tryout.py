"""`mailward try`: send and read a mail through the running server, by real SMTP, submission and IMAP, with no other client."""

import base64
import imaplib
import os
import re
import secrets
import smtplib
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Annotated, TypeVar

import typer

from mailward.app.config import Config, Listener
from mailward.app.quickstart import password_file_of
from mailward.app.serving import is_served
from mailward.cli import demo
from mailward.cli.options import (
    ConfigOption,
    JsonOption,
    PasswordFile,
    PasswordStdin,
    ask_password,
    config_of,
    first_account,
    opened_directory,
    parsed_address,
    password_from,
)
from mailward.cli.output import NO_INPUT, SOFTWARE, USAGE, fail, show
from mailward.cli.reading import attachment_line, field_lines, message_file, text_lines
from mailward.formats.message import MessageView
from mailward.policy import eicar

app = typer.Typer(help="Send and read a mail through the running server.", no_args_is_help=True)
app.command("ports", hidden=True)(demo.ports_command)
app.command("commands", hidden=True)(demo.commands_command)

OUTSIDER = "try@sender.invalid"
"""A sender that can exist nowhere (RFC 2606 section 2), so no check ever asks somebody's name servers about it."""

TIMEOUT_S = 150

STARTING_S, SLOW_START_S = 5.0, 20.0
"""For so long a port may be closed: whoever starts the server and types the command at once is not told that it does not run;
the longer time holds while a server has the data folder already.
"""

T = TypeVar("T")

_ID = re.compile(r"\bid ([0-9a-z]{16})\b")
_HINT_FOR_LOGINS = (
    "The password is wrong, or the account has a second factor and needs an app password here: "
    "mailward account app-password add ADDRESS NAME"
)


def _listener(config: Config, protocol: str, tls: tuple[str, ...]) -> Listener:
    found = next((item for item in config.listeners if item.protocol == protocol and item.tls in tls), None)
    if found is None:
        fail(f"no {protocol} listener with tls {' or '.join(tls)} in {config.path}", NO_INPUT)
    return found


def _host(listener: Listener) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.address, listener.address)  # noqa: S104 - compared, not bound


def _context(config: Config) -> ssl.SSLContext:
    """Trusts the server's own certificate and nothing else; its name is not compared, since we connect by address."""
    context = ssl.create_default_context(cafile=str(config.tls.certificate))
    context.check_hostname = False
    return context


def _password(config: Config, login: str, given: str | None) -> str:
    """The one given, else the one quickstart made up if its file is still there, else it is asked for."""
    kept = password_file_of(config.folder, login)
    if given is None and os.access(kept, os.R_OK):
        given = password_from(False, kept)
    return given or ask_password()


def _check_user(config: Config, account: str) -> None:
    """Before a password is asked for that nobody has."""
    with opened_directory(config) as directory:
        if directory.account(parsed_address(account)) is None:
            fail(
                f"{account} is no account here; --from is for the server's own users: mailward account list\n"
                f"  To send as a stranger: mailward try send --mail-from {account}",
                NO_INPUT,
            )


@app.command("send")
def send_command(
    config: ConfigOption = None,
    to: Annotated[str | None, typer.Option(help="The recipient; the first account unless given.")] = None,
    account: Annotated[str | None, typer.Option("--from", help="Send as this account: log in and submit.")] = None,
    mail_from: Annotated[str, typer.Option(help="Send as this stranger: the envelope's reverse-path.")] = OUTSIDER,
    attach_eicar: Annotated[bool, typer.Option("--eicar", help="Attach the EICAR antivirus test file.")] = False,
    file: Annotated[str | None, typer.Option(help="Send this message (.eml) as it is; '-' reads standard input.")] = None,
    password_stdin: PasswordStdin = False,
    password_file: PasswordFile = None,
    as_json: JsonOption = False,
) -> None:
    """Send one mail to the server and print its reply. It comes as from a stranger or, with --from, from one of its users.

    A user's password is the one quickstart made up, if its file is still there; else it is asked for.
    Exits 0 when the mail was accepted, 1 when it was rejected, 3 when the server asks to try again later.

    Examples:

      mailward try send

      mailward try send --eicar

      mailward try send --from demo@example.test --to somebody@example.org

      mailward try send --mail-from eve@example.net

      mailward try send --file message.eml
    """
    if file is not None and attach_eicar:
        fail("--file and --eicar exclude each other", USAGE)
    if account is not None and mail_from != OUTSIDER:
        fail("--from is for the server's own users and --mail-from for strangers; they exclude each other", USAGE)
    parsed_address(mail_from)
    if file == "-" and password_stdin:
        fail("standard input cannot be both the message and the password; use --password-file", USAGE)
    given = password_from(password_stdin, password_file)
    written = None if file is None else message_file(file)  # before `config_of` gives up the rights to read it
    settings = config_of(config)
    recipient = to or first_account(settings)
    sender = account or mail_from
    if account is not None:
        _check_user(settings, account)
    octets = _made_up(sender, recipient, attach_eicar=attach_eicar) if written is None else written
    if account is None:
        listener = _listener(settings, "smtp", ("starttls", "none"))
        accepted, reply = _deliver(settings, listener, sender, None, recipient, octets)
    else:
        listener = _listener(settings, "submission", ("implicit", "starttls"))
        accepted, reply = _deliver(settings, listener, sender, _password(settings, account, given), recipient, octets)
    id = _ID.search(reply)
    message_id = MessageView(octets).message_id
    hint = f"\n\nmailward explain {id[1]}   says why" if id else f"\n\n{_HINT_FOR_LOGINS}" if reply.startswith("535") else ""
    show(
        reply + hint,
        {
            "accepted": accepted,
            "reply": reply,
            "id": id[1] if id else None,
            "from": sender,
            "to": recipient,
            "message_id": message_id,
        },
        as_json=as_json,
    )
    if not accepted:
        raise typer.Exit(3 if reply.startswith("4") else 1)


def _made_up(sender: str, recipient: str, *, attach_eicar: bool) -> bytes:
    """A message to try the server with."""
    message = EmailMessage()
    message["From"] = f"Mailward try <{sender}>"
    message["To"] = recipient
    message["Subject"] = f"A mail to try Mailward with ({secrets.token_hex(3)})"
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    message.set_content("If you read this, your Mailward took a mail over SMTP, judged it, stored it and served it over IMAP.\n")
    if attach_eicar:
        message.add_attachment(eicar(), maintype="application", subtype="octet-stream", filename="eicar.com")
    return message.as_bytes().replace(b"\n", b"\r\n")


def _deliver(
    config: Config, listener: Listener, sender: str, password: str | None, recipient: str, octets: bytes
) -> tuple[bool, str]:
    """Whether the server took the mail, and its reply. password: None to send without a login."""
    try:
        with _once_it_listens(config, lambda: _connect(config, listener)) as client:
            client.ehlo_or_helo_if_needed()
            if password is not None:
                _log_in(client, sender, password)
            code, text = client.mail(sender, () if octets.isascii() else ("BODY=8BITMIME",))
            if code < 400:
                code, text = client.rcpt(recipient)
            if code < 400:
                code, text = client.data(octets)
        return code < 400, f"{code} {text.decode('ascii', 'replace')}"
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error
        return False, f"{error.smtp_code} {said.decode('ascii', 'replace') if isinstance(said, bytes) else said}"
    except (OSError, smtplib.SMTPException) as error:
        fail(
            f"no answer on {_host(listener)} port {listener.port}: {error}. Is it running? mailward serve -c {config.path}",
            SOFTWARE,
        )


def _log_in(client: smtplib.SMTP, account: str, password: str) -> None:
    """With PLAIN alone: smtplib's own way tries one mechanism after the other, and each counts as a failed login."""
    credentials = base64.b64encode(f"\0{account}\0{password}".encode()).decode("ascii")
    code, text = client.docmd("AUTH", f"PLAIN {credentials}")
    if code != 235:
        raise smtplib.SMTPAuthenticationError(code, text)


def _once_it_listens(config: Config, connect: Callable[[], T]) -> T:
    started = time.monotonic()
    while True:
        try:
            return connect()
        except ConnectionRefusedError:
            if time.monotonic() - started >= (SLOW_START_S if is_served(config) else STARTING_S):
                raise
            time.sleep(0.1)


def _connect(config: Config, listener: Listener) -> smtplib.SMTP:
    host, name = _host(listener), "try.sender.invalid"
    if listener.tls == "implicit":
        return smtplib.SMTP_SSL(host, listener.port, local_hostname=name, timeout=TIMEOUT_S, context=_context(config))
    client = smtplib.SMTP(host, listener.port, local_hostname=name, timeout=TIMEOUT_S)
    if listener.tls == "starttls":
        client.starttls(context=_context(config))
    return client


@app.command("read")
def read_command(
    config: ConfigOption = None,
    account: Annotated[str | None, typer.Option(help="Whose mail; the first account's unless given.")] = None,
    mailbox: Annotated[str, typer.Option(help="Which mailbox.")] = "INBOX",
    password_stdin: PasswordStdin = False,
    password_file: PasswordFile = None,
    as_json: JsonOption = False,
) -> None:
    """Log in over IMAP and print the newest mail.

    The password is the one quickstart made up, if its file is still there; else it is asked for.

    Examples:

      mailward try read

      mailward try read --mailbox Junk
    """
    given = password_from(password_stdin, password_file)
    settings = config_of(config)
    login = account or first_account(settings)
    password = _password(settings, login, given)
    listener = _listener(settings, "imap", ("implicit", "starttls"))
    try:
        with _once_it_listens(settings, lambda: _connect_to_imap(settings, listener)) as client:
            client.login(login, password)
            count, newest = _newest(client, mailbox)
    except imaplib.IMAP4.error as error:
        said = _said(error)
        fail(f"the server says: {said}{f'. {_HINT_FOR_LOGINS}' if 'AUTHENTICATIONFAILED' in said else ''}", SOFTWARE)
    except OSError as error:
        fail(
            f"no answer on {_host(listener)} port {listener.port}: {error}. Is it running? mailward serve -c {settings.path}",
            SOFTWARE,
        )
    if newest is None:
        show(
            f"{mailbox} of {login} is empty",
            {"account": login, "mailbox": mailbox, "messages": 0, "newest": None},
            as_json=as_json,
        )
        return
    head = f"{mailbox} of {login}: {count} message{'s' if count != 1 else ''}; the newest:\n\n"
    message = MessageView(newest)
    show(
        lambda: head + _as_read(message),
        {
            "account": login,
            "mailbox": mailbox,
            "messages": count,
            "newest": newest.decode("utf-8", "replace"),
            "text": "\n".join(text_lines(message)),
        },
        as_json=as_json,
    )


def _connect_to_imap(config: Config, listener: Listener) -> imaplib.IMAP4:
    if listener.tls == "implicit":
        return imaplib.IMAP4_SSL(_host(listener), listener.port, ssl_context=_context(config), timeout=TIMEOUT_S)
    client = imaplib.IMAP4(_host(listener), listener.port, timeout=TIMEOUT_S)
    client.starttls(_context(config))
    return client


def _said(error: imaplib.IMAP4.error) -> str:
    """What the server said; imaplib raises its octets as they are."""
    said = error.args[0] if error.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)


def _as_read(message: MessageView) -> str:
    """Header, text and the names of attachments, decoded."""
    attachments = [f"attached: {attachment_line(part)}" for part in message.attachments()]
    blocks = [field_lines(message), text_lines(message) or ["(no text)"], attachments]
    return "\n\n".join("\n".join(lines) for lines in blocks if lines)


def _newest(client: imaplib.IMAP4, mailbox: str) -> tuple[int, bytes | None]:
    status, answer = client.select('"' + mailbox.replace("\\", "\\\\").replace('"', '\\"') + '"', readonly=True)
    if status != "OK":
        fail(f"no mailbox '{mailbox}'", NO_INPUT)
    count = int(answer[0] or b"0")
    if count == 0:
        return 0, None
    _, parts = client.fetch(str(count), "(BODY.PEEK[])")
    first = parts[0]
    return count, first[1] if isinstance(first, tuple) else None
