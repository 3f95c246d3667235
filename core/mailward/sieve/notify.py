"""Tell somebody that mail has come (RFC 5435), by mail (RFC 5436).

No other method is there: what a script may send goes by the same queue and limits as all mail.
"""

import re
from urllib.parse import unquote

from mailward.sieve.actions import Notify, Redirect
from mailward.sieve.addresses import sendable
from mailward.sieve.arguments import Shape, TagRule, Takes
from mailward.sieve.disposing import FCC, check_fcc, fcc_of
from mailward.sieve.endings import RunProblem
from mailward.sieve.matching import MATCHING, check_matching, matches
from mailward.sieve.running import Checking, Command, Run, Step, Test

_URI = re.compile(r"mailto:([^?<>#\"\\^`{|};\s]*)(?:\?([^<>\"\\^`{|}\s]*))?", re.IGNORECASE)
_FIELD_NAME = re.compile(r"[!-9;-~]+")
_OPTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*=[^\r\n\0]*")
_IMPORTANCE = ("1", "2", "3")
_OURS = frozenset(
    {
        *(
            "from",
            "sender",
            "date",
            "message-id",
            "received",
            "return-path",
            "auto-submitted",
            "precedence",
            "x-sieve",
            "mime-version",
        ),
        *(
            "content-type",
            "content-transfer-encoding",
            "importance",
            "x-priority",
            "bcc",
            "apparently-to",
            "resent-to",
            "resent-cc",
        ),
    }
)
"""Fields that a URI may not set (RFC 5436 section 2.3)."""
_MOST_FIELDS = 20
_MOST_RECIPIENTS = 4


class _MethodError(Exception):
    """Why this is no method."""


_READING = 64
"""What a character of a method costs: its addresses are read."""


def _parsed(method: str) -> tuple[list[str], list[str], list[tuple[str, str]], str | None, str | None]:
    """To, Cc, other fields, subject and body of a mailto: URI (RFC 6068). Raises _MethodError."""
    if ":" not in method or method.partition(":")[0].lower() != "mailto":
        raise _MethodError(f"{method[:40]!r} is no method that there is; mail is sent by 'mailto:someone@example.org'")
    found = _URI.fullmatch(method)
    if found is None:
        raise _MethodError(f"{method[:40]!r} is no mailto: URI; other characters are written as %XX")
    pairs = [("to", found[1])] if found[1] else []
    for pair in (found[2] or "").split("&") if found[2] else ():
        name, equals, value = pair.partition("=")
        if not equals:
            raise _MethodError(f"{pair[:40]!r} in the mailto: URI is no field; it is written as name=value")
        pairs.append((unquote(name).lower(), value))
    recipients: dict[str, list[str]] = {"to": [], "cc": []}
    fields, subject, body, seen = list[tuple[str, str]](), None, None, set[str]()
    for name, value in pairs:
        text = unquote(value).replace("\0", "")
        if name in recipients:
            for one in _split(text):
                address = sendable(one)
                if address is None:
                    raise _MethodError(f"{one[:40]!r} in the mailto: URI is no address")
                if str(address).lower() not in seen:
                    seen.add(str(address).lower())
                    recipients[name].append(one)
        elif name == "subject":
            subject = " ".join(text.split())
        elif name == "body":
            body = text
        elif not _FIELD_NAME.fullmatch(name):
            raise _MethodError(f"{name[:40]!r} in the mailto: URI is no name of a field")
        elif name not in _OURS and len(fields) < _MOST_FIELDS:
            fields.append((name.title(), " ".join(text.split())))
    return recipients["to"], recipients["cc"], fields, subject, body


def _split(text: str) -> list[str]:
    """At commas that are not in quotes."""
    parts = text[:2000].split('"')
    parts[::2] = [part.replace(",", "\0") for part in parts[::2]]
    return [one.strip() for one in '"'.join(parts).split("\0") if one.strip()]


def _notify(run: Run, step: Step) -> None:
    tags, method = step.tags, run.text(step.string(0))
    run.spending.look_through(_READING * len(method))
    try:
        to, cc, fields, subject, body = _parsed(method)
    except _MethodError as error:
        raise RunProblem(str(error), step.place) from None
    if not to and not cc:
        return
    sent = sum(len(action.to) + len(action.cc) for action in run.actions if isinstance(action, Notify))
    sent += sum(isinstance(action, Redirect) for action in run.actions)
    if sent + len(to) + len(cc) > _MOST_RECIPIENTS + run.limits.redirects:
        raise RunProblem("the script notifies more addresses than it may", step.place)
    importance = run.text(tags["importance"].strings[0]) if "importance" in tags else "2"
    message = " ".join(run.text(tags["message"].strings[0]).split()) if "message" in tags else ""
    sender = run.text(tags["from"].strings[0]) if "from" in tags else ""
    owner = run.world.owner.addresses
    mine = str(owner[0]) if owner else str(run.world.envelope.forward_path or "")
    submitted = run.received.field("Auto-Submitted")
    is_automatic = submitted is not None and submitted.text.partition(";")[0].strip().lower() != "no"
    run.act(
        Notify(
            *run.at(step),
            # RFC 5436 section 2.7.1: of what a machine has sent nobody is told, or two of them would tell each other for ever.
            withheld="a machine has sent the message (Auto-Submitted)" if is_automatic else "",
            to=tuple(to),
            cc=tuple(cc),
            fields=tuple(fields),
            sender=sender if sender and sendable(sender) else mine,
            owner=mine,
            subject=subject or message or f"Notification: {run.received.subject}",
            text=body or f"Notification of new message.\r\n\r\nFrom: {_from(run)}\r\nSubject: {run.received.subject}\r\n",
            importance=importance if importance in _IMPORTANCE else "2",
            fcc=fcc_of(run, step),
        ),
        keeps=True,
    )


def _from(run: Run) -> str:
    field = run.received.field("From")
    return field.text if field else ""


def _check(checking: Checking, step: Step) -> None:
    method = step.string(0)
    if method.constant is not None:
        try:
            _parsed(method.constant)
        except _MethodError as error:
            checking.problem(method.place, str(error))
    if (use := step.tags.get("from")) and (sender := use.strings[0].constant) is not None and sendable(sender) is None:
        checking.problem(use.place, f"the tag ':from' wants one address, not {sender[:60]!r}")
    if (use := step.tags.get("importance")) and use.strings[0].constant not in (None, *_IMPORTANCE):
        checking.problem(use.place, 'the tag \':importance\' wants "1", "2" or "3"')
    for option in step.tags["options"].strings if "options" in step.tags else ():
        if option.constant is not None and not _OPTION.fullmatch(option.constant):
            checking.problem(option.place, f"{option.constant[:40]!r} is no option; it is written as 'name=value'")
    check_fcc(checking, step)


def _is_valid(run: Run, step: Step) -> bool:
    def sound(method: str) -> bool:
        run.spending.look_through(_READING * len(method))
        try:
            _parsed(method)
        except _MethodError:
            return False
        return True

    return all(sound(method) for method in run.texts(step.strings(0)))


def _capability(run: Run, step: Step) -> bool:
    """RFC 5435 section 5: nobody knows whether somebody is online who is reached by mail."""
    is_online = run.text(step.string(1)).lower() == "online"
    return is_online and _is_mailto(run.text(step.string(0))) and matches(run, step, ("maybe",), step.strings(2))


def _is_mailto(method: str) -> bool:
    return method.lower().startswith("mailto:")


COMMANDS = (
    Command(
        "notify",
        (Takes("method", Shape.STRING),),
        (
            TagRule("from", takes=Shape.STRING),
            TagRule("importance", takes=Shape.STRING),
            TagRule("options", takes=Shape.STRINGS),
            TagRule("message", takes=Shape.STRING),
            *FCC,
        ),
        "enotify",
        check=_check,
        do=_notify,
    ),
)
TESTS = (
    Test("valid_notify_method", (Takes("methods", Shape.STRINGS),), extension="enotify", holds=_is_valid),
    Test(
        "notify_method_capability",
        (Takes("method", Shape.STRING), Takes("capability", Shape.STRING), Takes("key list", Shape.STRINGS)),
        MATCHING,
        "enotify",
        check=check_matching,
        holds=_capability,
    ),
)
