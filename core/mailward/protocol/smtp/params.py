"""What stands behind MAIL FROM: and RCPT TO: (RFC 5321 section 4.1.2; RFC 1870 SIZE, RFC 6152 BODY, RFC 6531
SMTPUTF8, RFC 4954 AUTH).

Paths are read by `formats.address`; here they are split from the parameters, and the parameters become values.
"""

import re
from dataclasses import replace

from mailward.formats.address import parse_forward_path, parse_reverse_path
from mailward.formats.domains import AddressSyntaxError
from mailward.model.address import ForwardPath, ReversePath
from mailward.model.envelope import BodyType, MailParameters
from mailward.model.errors import PeerError
from mailward.model.reply import MESSAGE_TOO_BIG, Reply, reply
from mailward.protocol.smtp.server_replies import BDAT_SYNTAX

_PARAMETER = re.compile(rb"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~]+))?")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+")  # RFC 3461 section 4
_CHUNK = re.compile(rb"([0-9]{1,20})( +LAST)?", re.IGNORECASE)
_SIZE = re.compile(r"[0-9]{1,20}")  # RFC 1870 section 3: at most 20 digits

UTF8_ADDRESS = reply(553, "5.6.7", "That address needs the SMTPUTF8 parameter of MAIL")
NO_PARAMETERS_IN_HELO = reply(555, "5.5.4", "Parameters need a session opened by EHLO")


class RefusedError(PeerError):
    """A command that cannot be carried out as it stands; `reply` is the answer."""

    def __init__(self, answer: Reply) -> None:
        super().__init__(str(answer), answer.to_octets())
        self.reply = answer


def parse_mail(
    argument: bytes, *, extended: bool, size_limit_octets: int, auth: bool, prdr: bool = False
) -> tuple[ReversePath, MailParameters]:
    """The argument of MAIL, b"FROM:<a@example.net> SIZE=1000".

    extended: the session was opened by EHLO, without which no parameter is known. auth: AUTH is among them; prdr: so is PRDR.
    Raises RefusedError.
    """
    text = _after_keyword(argument, b"FROM:", "MAIL FROM:<reverse-path> [parameters]")
    try:
        path, rest = parse_reverse_path(text, smtputf8=not text.isascii())
    except AddressSyntaxError as error:
        raise RefusedError(reply(553, "5.1.7", f"Reverse-path: {error}")) from error
    parameters = MailParameters()
    for name, value in _split(rest, extended=extended):
        if name == "AUTH" and auth:
            _check_auth(value)
        elif name == "PRDR" and prdr and value is None:
            parameters = replace(parameters, prdr=True)
        else:
            parameters = _mail_parameter(parameters, name, value, size_limit_octets)
    if not parameters.smtputf8 and not text[: len(text) - len(rest)].isascii():
        raise RefusedError(UTF8_ADDRESS)
    return path, parameters


def parse_rcpt(argument: bytes, *, extended: bool, smtputf8: bool) -> ForwardPath:
    """The argument of RCPT, b"TO:<b@example.org>". smtputf8: MAIL of this transaction said so. Raises RefusedError."""
    text = _after_keyword(argument, b"TO:", "RCPT TO:<forward-path>")
    try:
        path, rest = parse_forward_path(text, smtputf8=not text.isascii())
    except AddressSyntaxError as error:
        raise RefusedError(reply(553, "5.1.3", f"Forward-path: {error}")) from error
    for name, _ in _split(rest, extended=extended):
        raise RefusedError(reply(555, "5.5.4", f"RCPT has no parameter {name} here"))
    if not smtputf8 and not text[: len(text) - len(rest)].isascii():
        raise RefusedError(UTF8_ADDRESS)
    return path


def parse_bdat(argument: bytes) -> tuple[int, bool]:
    """The argument of BDAT, b"1000 LAST": octets, and whether it is the last chunk (RFC 3030 section 2).

    Raises RefusedError, whose reply closes: nobody knows how many octets follow.
    """
    found = _CHUNK.fullmatch(argument)
    if found is None:
        raise RefusedError(BDAT_SYNTAX)
    return int(found[1]), found[2] is not None


def _after_keyword(argument: bytes, keyword: bytes, syntax: str) -> bytes:
    if argument[: len(keyword)].upper() != keyword:
        raise RefusedError(reply(501, "5.5.4", f"Syntax: {syntax}"))
    # A space before the path is not in the grammar, but so common that refusing it would refuse mail (RFC 5321 4.1.1.2).
    return argument[len(keyword) :].removeprefix(b" ").rstrip(b" ")


def _split(rest: bytes, *, extended: bool) -> list[tuple[str, str | None]]:
    """The parameters behind a path as (NAME, value); value None when there is no "="."""
    if not rest:
        return []
    if not rest.startswith(b" "):
        raise RefusedError(reply(501, "5.5.4", "A space was expected behind the path"))
    if not extended:
        raise RefusedError(NO_PARAMETERS_IN_HELO)
    found: dict[str, str | None] = {}
    for word in rest.split():
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise RefusedError(reply(501, "5.5.4", "A parameter is malformed"))
        name = match[1].decode("ascii").upper()
        if name in found:
            raise RefusedError(reply(501, "5.5.4", f"Parameter {name} is given twice"))
        found[name] = None if match[2] is None else match[2].decode("ascii")
    return list(found.items())


def _check_auth(value: str | None) -> None:
    """AUTH names who submitted the message elsewhere (RFC 4954 section 5). It is read and ignored."""
    if value is None or not (value == "<>" or _XTEXT.fullmatch(value)):
        raise RefusedError(reply(501, "5.5.4", "AUTH wants <> or a mailbox as xtext"))


def _mail_parameter(parameters: MailParameters, name: str, value: str | None, size_limit_octets: int) -> MailParameters:
    if name == "SIZE":
        if value is None or not _SIZE.fullmatch(value):
            raise RefusedError(reply(501, "5.5.4", "SIZE wants a number of octets"))
        if int(value) > size_limit_octets:
            raise RefusedError(MESSAGE_TOO_BIG)
        return replace(parameters, size_octets=int(value))
    if name == "BODY":
        try:
            return replace(parameters, body=BodyType((value or "").upper()))
        except ValueError as error:
            raise RefusedError(reply(501, "5.5.4", "BODY wants 7BIT or 8BITMIME")) from error
    if name == "SMTPUTF8":
        if value is not None:
            raise RefusedError(reply(501, "5.5.4", "SMTPUTF8 takes no value"))
        return replace(parameters, smtputf8=True)
    raise RefusedError(reply(555, "5.5.4", f"MAIL has no parameter {name} here"))
