"""What stands behind MAIL FROM: and RCPT TO: (RFC 5321 section 4.1.2; RFC 1870 SIZE, RFC 6152 and 3030 BODY, RFC 6531
SMTPUTF8, RFC 4954 AUTH, RFC 3461 RET, ENVID, NOTIFY and ORCPT, RFC 8689 REQUIRETLS).

Paths are read by `formats.address`; here they are split from the parameters, and the parameters become values.
"""

import re
from dataclasses import replace
from typing import get_args

from mailward.formats.address import parse_forward_path, parse_reverse_path
from mailward.formats.domains import AddressSyntaxError
from mailward.formats.xtext import XTEXT, decode_xtext, utf8_address_of_octets, utf8_address_xtext
from mailward.model import replies
from mailward.model.address import ForwardPath, ReversePath
from mailward.model.envelope import BodyType, MailParameters, Notify, RcptParameters
from mailward.model.reply import Reply
from mailward.protocol.smtp.refused import RefusedError, wrong_value
from mailward.protocol.smtp.submitting import Submitting

_PARAMETER = re.compile(rb"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\x80-\xff]+))?")
_CHUNK = re.compile(rb"([0-9]{1,20})( +LAST)?", re.IGNORECASE)
_SIZE = re.compile(r"[0-9]{1,20}")  # RFC 1870 section 3: at most 20 digits

MAX_ENVELOPE_ID = 100
MAX_ORIGINAL_RECIPIENT = 500
"""Octets of ENVID and ORCPT as they are sent (RFC 3461 sections 4.2 and 4.4)."""
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_OCTETS_BEYOND_ASCII = re.compile(r"\+[89A-F][0-9A-F]")

ENVID_SYNTAX = wrong_value("ENVID", f"wants at most {MAX_ENVELOPE_ID} octets of xtext")
ORCPT_SYNTAX = wrong_value("ORCPT", f"wants a type, a semicolon, and an address as xtext, {MAX_ORIGINAL_RECIPIENT} octets in all")


def parse_mail(
    argument: bytes,
    *,
    extended: bool,
    size_limit_octets: int,
    auth: bool,
    prdr: bool = False,
    tls: bool = False,
    submitting: Submitting | None = None,
) -> tuple[ReversePath, MailParameters]:
    """The argument of MAIL, b"FROM:<a@example.net> SIZE=1000".

    extended: the session was opened by EHLO, without which no parameter is known. auth: AUTH is among them; prdr: so is PRDR;
    tls: so is REQUIRETLS. submitting: what else is taken from users.
    Raises RefusedError.
    """
    text = _after_keyword(argument, b"FROM:", "MAIL FROM:<reverse-path> [parameters]")
    try:
        path, rest = parse_reverse_path(text, smtputf8=not text.isascii())
    except AddressSyntaxError as error:
        raise RefusedError(replies.BAD_REVERSE_PATH.filled(problem=error)) from error
    parameters = MailParameters()
    for name, value in _split(rest, extended=extended):
        if name == "AUTH" and auth:
            _check_auth(value)
        elif name == "PRDR" and prdr and value is None:
            parameters = replace(parameters, prdr=True)
        elif name == "REQUIRETLS" and tls:
            if value is not None:
                raise RefusedError(wrong_value("REQUIRETLS", "takes no value"))
            parameters = replace(parameters, require_tls=True)
        elif submitting is not None and (found := submitting.parameter(parameters, name, value or "")) is not None:
            parameters = found
        else:
            parameters = _mail_parameter(parameters, name, value, size_limit_octets)
    if not parameters.smtputf8 and not text[: len(text) - len(rest)].isascii():
        raise RefusedError(replies.UTF8_ADDRESS)
    return path, parameters


def parse_rcpt(argument: bytes, *, extended: bool, smtputf8: bool) -> tuple[ForwardPath, RcptParameters]:
    """The argument of RCPT, b"TO:<b@example.org> NOTIFY=NEVER". smtputf8: MAIL of this transaction said so.

    Raises RefusedError.
    """
    text = _after_keyword(argument, b"TO:", "RCPT TO:<forward-path>")
    try:
        path, rest = parse_forward_path(text, smtputf8=not text.isascii())
    except AddressSyntaxError as error:
        raise RefusedError(replies.BAD_FORWARD_PATH.filled(problem=error)) from error
    parameters = RcptParameters()
    for name, value in _split(rest, extended=extended):
        parameters = _rcpt_parameter(parameters, name, value or "", smtputf8=smtputf8)
    if not smtputf8 and not text[: len(text) - len(rest)].isascii():
        raise RefusedError(replies.UTF8_ADDRESS)
    return path, parameters


def parse_bdat(argument: bytes) -> tuple[int, bool]:
    """The argument of BDAT, b"1000 LAST": octets, and whether it is the last chunk (RFC 3030 section 2).

    Raises RefusedError, whose reply closes: nobody knows how many octets follow.
    """
    found = _CHUNK.fullmatch(argument)
    if found is None:
        raise RefusedError(replies.BDAT_SYNTAX)
    return int(found[1]), found[2] is not None


def _after_keyword(argument: bytes, keyword: bytes, syntax: str) -> bytes:
    if argument[: len(keyword)].upper() != keyword:
        raise RefusedError(replies.PATH_SYNTAX.filled(syntax=syntax))
    # A space before the path is not in the grammar, but so common that refusing it would refuse mail (RFC 5321 4.1.1.2).
    return argument[len(keyword) :].removeprefix(b" ").rstrip(b" ")


def _split(rest: bytes, *, extended: bool) -> list[tuple[str, str | None]]:
    """The parameters behind a path as (NAME, value); value None when there is no "="."""
    if not rest:
        return []
    if not rest.startswith(b" "):
        raise RefusedError(replies.SPACE_WANTED)
    if not extended:
        raise RefusedError(replies.NO_PARAMETERS_IN_HELO)
    found: dict[str, str | None] = {}
    for word in rest.split():
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise RefusedError(replies.MALFORMED_PARAMETER)
        name = match[1].decode("ascii").upper()
        if name in found:
            raise RefusedError(replies.PARAMETER_TWICE.filled(parameter=name))
        try:
            found[name] = None if match[2] is None else match[2].decode("utf-8")  # RFC 6531 section 3.3: beyond ASCII too
        except UnicodeDecodeError as error:
            raise RefusedError(replies.MALFORMED_PARAMETER) from error
    return list(found.items())


def _check_auth(value: str | None) -> None:
    """AUTH names who submitted the message elsewhere (RFC 4954 section 5). It is read and ignored."""
    if not value or not (value == "<>" or XTEXT.fullmatch(value)):
        raise RefusedError(wrong_value("AUTH", "wants <> or a mailbox as xtext"))


def _mail_parameter(parameters: MailParameters, name: str, value: str | None, size_limit_octets: int) -> MailParameters:
    if name == "SIZE":
        if value is None or not _SIZE.fullmatch(value):
            raise RefusedError(wrong_value("SIZE", "wants a number of octets"))
        if int(value) > size_limit_octets:
            raise RefusedError(replies.MESSAGE_TOO_BIG)
        return replace(parameters, size_octets=int(value))
    if name == "BODY":
        try:
            return replace(parameters, body=BodyType((value or "").upper()))
        except ValueError as error:
            raise RefusedError(wrong_value("BODY", "wants 7BIT, 8BITMIME or BINARYMIME")) from error
    if name == "SMTPUTF8":
        if value is not None:
            raise RefusedError(wrong_value("SMTPUTF8", "takes no value"))
        return replace(parameters, smtputf8=True)
    if name == "RET":
        match (value or "").upper():
            case "FULL" | "HDRS" as ret:
                return replace(parameters, ret=ret)
        raise RefusedError(wrong_value("RET", "wants FULL or HDRS"))
    if name == "ENVID":
        if not value or len(value) > MAX_ENVELOPE_ID:
            raise RefusedError(ENVID_SYNTAX)
        return replace(parameters, envelope_id=_decoded(value, ENVID_SYNTAX))
    raise RefusedError(replies.UNKNOWN_PARAMETER.filled(command="MAIL", parameter=name))


def _rcpt_parameter(parameters: RcptParameters, name: str, value: str, *, smtputf8: bool) -> RcptParameters:
    if name == "NOTIFY":
        words = value.upper().split(",")
        notify = tuple(word for word in get_args(Notify) if word in words)
        if len(notify) != len(words) or ("NEVER" in notify and len(notify) > 1):
            raise RefusedError(wrong_value("NOTIFY", "wants NEVER, or some of SUCCESS,FAILURE,DELAY once each"))
        return replace(parameters, notify=notify)
    if name == "ORCPT":
        return replace(parameters, original_recipient=_original_recipient(value, smtputf8=smtputf8))
    raise RefusedError(replies.UNKNOWN_PARAMETER.filled(command="RCPT", parameter=name))


def _original_recipient(value: str, *, smtputf8: bool) -> str:
    """ORCPT with its xtext undone; of the type utf-8 as RFC 6533 section 3 has it, UTF-8 itself only with SMTPUTF8.

    Postfix says rfc822 of every address its client gave without ORCPT, UTF-8 or not; what is beyond ASCII is of the type utf-8.
    """
    kind, _, text = value.partition(";")
    if not _ADDRESS_TYPE.fullmatch(kind) or not text or len(value.encode("utf-8")) > MAX_ORIGINAL_RECIPIENT:
        raise RefusedError(ORCPT_SYNTAX)
    try:
        if kind.lower() == "utf-8":
            if not (smtputf8 or text.isascii()):
                raise RefusedError(replies.UTF8_ADDRESS)
            return f"{kind};{utf8_address_xtext(text)}"
        if kind.lower() == "rfc822" and _OCTETS_BEYOND_ASCII.search(text):
            return f"utf-8;{utf8_address_of_octets(text)}"
    except ValueError as error:
        raise RefusedError(ORCPT_SYNTAX) from error
    return f"{kind};{_decoded(text, ORCPT_SYNTAX)}"


def _decoded(xtext: str, refusal: Reply) -> str:
    try:
        return decode_xtext(xtext)
    except ValueError as error:
        raise RefusedError(refusal) from error
