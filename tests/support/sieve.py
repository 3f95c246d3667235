"""Scripts, and what they have to come to: one table for our engine and for Dovecot's `sieve-test`."""

import contextlib
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mailward.formats.address import parse_mailbox
from mailward.formats.message import MessageView
from mailward.model.address import ForwardPath, ReversePath
from mailward.sieve import LANGUAGE, Envelope, Outcome, Owner, World, compile_script, evaluate
from mailward.sieve.actions import Action, Discard, FileInto, Keep, Notify, Redirect, Reject, Vacation
from mailward.sieve.limits import LIMITS, Limits
from support.processes import program

SENDER, RECIPIENT = "sender@example.net", "owner+lists@example.org"
MESSAGE = b"""\
Return-Path: <sender@example.net>
Date: Fri, 09 Jan 2026 20:30:15 +0200
From: "Sender, A." <Sender@Example.NET>
To: owner+lists@example.org, Team: one@example.com, two@example.com;
Cc: =?utf-8?q?J=C3=BCrgen?= <juergen@example.org>
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from
 far away
List-Id: <news.example.net>
X-Priority: 3
X-Number: 10
X-Number: 9
Message-ID: <one@example.net>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

preamble
--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Meet me at the caf=C3=A9.
--b
Content-Type: text/html

<p>Meet <b>me</b> there</p>
--b
Content-Type: application/pdf; name="bill.pdf"
Content-Disposition: attachment; filename="bill.pdf"
Content-Transfer-Encoding: base64

JVBERi0xLjQ=
--b--
""".replace(b"\n", b"\r\n")
WORLD = World(
    Envelope(ReversePath(parse_mailbox(SENDER)), ForwardPath(parse_mailbox(RECIPIENT))),
    Owner((parse_mailbox("owner@example.org"),)),
)


@dataclass(frozen=True)
class Case:
    """A script and the actions it comes to on MESSAGE, as `told` tells them. differs: why Dovecot has others, "" if it has not."""

    name: str
    script: str
    actions: tuple[str, ...]
    differs: str = ""


def run_script(script: str, message: bytes = MESSAGE, world: World = WORLD, limits: Limits = LIMITS) -> Outcome:
    return evaluate(compile_script(script.encode(), LANGUAGE, limits), MessageView(message), world, limits=limits)


def told(outcome: Outcome) -> tuple[str, ...]:
    """The actions, each on one line; nothing for a discard."""
    return tuple(line for action in outcome.actions if (line := _told(action)))


def _told(action: Action) -> str:
    match action:
        case Keep(flags=flags):
            return " ".join(["keep", *(flag.lower() for flag in flags)])
        case FileInto(mailbox=mailbox, flags=flags):
            return " ".join(["fileinto", mailbox, *(flag.lower() for flag in flags)])
        case Reject(reason=reason):
            return f"reject {reason}"
        case Redirect(address=address):
            return f"redirect {address}"
        case Vacation(period_s=period_s, text=text):
            return f"vacation {period_s} {text}"
        case Notify(to=to, cc=cc):
            return " ".join(["notify", *to, *cc])
        case Discard():
            return ""
        case _:
            raise AssertionError(action)


class SieveTest:
    """Dovecot's `sieve-test`, which prints what it would do."""

    def __init__(self, folder: Path) -> None:
        self._program = program("sieve-test", "dovecot-sieve")
        self._folder = folder
        user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        (folder / "mail").mkdir()
        if os.geteuid() == 0:
            shutil.chown(folder, user.pw_uid)
            shutil.chown(folder / "mail", user.pw_uid)
        self._config = folder / "dovecot.conf"
        self._config.write_text(
            f"""base_dir = {folder / "run"}
mail_location = maildir:{folder / "mail"}
mail_uid = {user.pw_uid}
mail_gid = {user.pw_gid}
first_valid_uid = 1
log_path = /dev/stderr
protocols =
ssl = no
plugin {{
  recipient_delimiter = +
  sieve_user_email = owner@example.org
  sieve_extensions = +editheader +vacation-seconds +mboxmetadata
  sieve_redirect_envelope_from = sender
}}
"""
        )
        (folder / "message").write_bytes(MESSAGE)

    def actions(self, script: str) -> tuple[str, ...]:
        """What it would do, as `told` tells it."""
        file = self._folder / "script.sieve"
        file.write_text(script)
        command = [
            self._program,
            "-c",
            str(self._config),
            "-f",
            SENDER,
            "-a",
            RECIPIENT,
            str(file),
            str(self._folder / "message"),
        ]
        done = subprocess.run(command, capture_output=True, timeout=90, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return tuple(_read(done.stdout.decode()))


_ACTION = re.compile(r"^ \* (.*)\n((?: {8}\+ .*\n)*)", re.MULTILINE)


_PERIOD = re.compile(r"=> seconds : (\d+)")
_VACATION = re.compile(r"START MESSAGE\n(.*)\nEND MESSAGE")
_FLAGS = re.compile(r"add IMAP flags:(.*)")


def _read(output: str) -> list[str]:
    found = []
    for action, effects in _ACTION.findall(output):
        flags = [flag.lower() for line in _FLAGS.findall(effects) for flag in line.split()]
        if mailbox := re.fullmatch(r"store message in folder: (.*)", action):
            found.append(" ".join(["keep" if mailbox[1] == "INBOX" else f"fileinto {mailbox[1]}", *flags]))
        elif reason := re.fullmatch(r"(?:e?)reject message with reason: (.*)", action):
            found.append(f"reject {reason[1]}")
        elif address := re.fullmatch(r"redirect message to: <(.*)>", action):
            found.append(f"redirect {address[1]}")
        elif action == "send vacation message:":
            found.append(f"vacation {_PERIOD.findall(output)[0]} {_VACATION.findall(output)[0]}")
        elif action not in ("discard", "track duplicate"):
            found.append(action)
    return found


@contextlib.contextmanager
def sieve_test() -> Iterator[SieveTest]:
    """Dovecot's program with a folder of its own, which its user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="mailward-sieve-"))
    folder.chmod(0o755)
    try:
        yield SieveTest(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
