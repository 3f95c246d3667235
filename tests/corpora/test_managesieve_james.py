"""Apache James' ManageSieve dialogues against our sessions (format: as the IMAP ones, see the corpus' README).

Compared are OK and NO, response codes and data, not James' own words.
"""

import re
from pathlib import Path

import pytest

from mailward.model.ids import AccountId
from support.corpora import corpus_members
from support.managesieve import Client, Office
from support.mpt import Step, steps_of
from support.plain_book import PlainAuthenticator

OURS = {
    ("havespace", 'HAVESPACE "scriptname" 51'): "the quota of James' set-up is 50 octets",
    ("noop", 'NOOP "STARTTLS-SYNC-42"'): "we send the tag quoted, James as a literal; RFC 5804 section 2.13 has both",
    ("unauthenticate", "UNAUTHENTICATE"): "it is optional, and left out",
}
"""Commands whose answer differs, and why."""
SET_UP = (
    # RFC 5804 section 2.1 has responses in base64, and so do all clients.
    (r"^C: (\w+) password$", lambda found: f'C: "{_PLAIN if found[1] == "user" else "AHRpbgBwYXNzd29yZA=="}"'),
    # RFC 5804 section 2.9 has names as strings.
    (r"GETSCRIPT any$", lambda _: 'GETSCRIPT "any"'),
    # RFC 5228 section 5.4 has `require "envelope"`, which the scripts lack.
    (r"if envelope ", lambda _: "if header   "),
)
_PLAIN = "AHVzZXIAcGFzc3dvcmQ="


def script(name: str) -> list[Step]:
    text = corpus_members("sieve", "james-managesieve-mpt.tar.xz")[f"{name}.test"].decode()
    for pattern, replacement in SET_UP:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return steps_of(text)


def names() -> list[str]:
    return sorted(Path(name).stem for name in corpus_members("sieve", "james-managesieve-mpt.tar.xz") if name.endswith(".test"))


@pytest.mark.parametrize("name", names())
async def test_dialogue(name: str, tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.use(PlainAuthenticator(lambda name: (AccountId("user"), "password") if name == "user" else None))
    client = Client(office)
    await client.response()
    is_as_theirs = True
    for step in script(name):
        client.wire.feed(_ended(step.command).encode() + b"\r\n")
        if step.answers == ['""']:
            assert await client.line() == b'""'
            continue
        response = await client.response()
        if (name, step.command.split("\r\n")[0]) in OURS:
            is_as_theirs = step.answers[-1].startswith(response.word)  # what follows builds on it
            continue
        if is_as_theirs or step.answers[-1].startswith("NO"):
            _compare(step, f"{response.word} ({response.code})", [line.decode() for line in response.data])
    await client.drop()


def _ended(command: str) -> str:
    """A script without the CRLF that ends the command, where the literal has taken it."""
    literal = re.search(r"\{(\d+)\+\}\r\n", command)
    return command + "\r\n" if literal and len(command) + 2 == literal.end() + int(literal[1]) else command


def _compare(step: Step, word: str, data: list[str]) -> None:
    *wanted, end = step.answers
    code = re.match(r"(OK|NO)( \\\((.*?)\\\))?", end)
    assert code is not None and word.startswith(f"{code[1]} ({code[3] or ''}"), f"{step.command}: {word} is not {end}"
    lines = [line for whole in data for line in whole.split("\r\n")]
    if wanted and "{" not in wanted[0]:  # capabilities have values of our own, under TLS there is no STARTTLS, the order is free
        names = [re.sub(r"^(\"[A-Z]+\").*", r"\1", line) for line in wanted if "STARTTLS" not in line]
        wanted, lines = sorted(names), sorted(re.sub(r"^(\"[A-Z]+\").*", r"\1", line) for line in lines)
        lines = [line for line in lines if line not in ('"EXTLISTS"', '"MAXREDIRECTS"', '"NOTIFY"', '"OWNER"') or line in wanted]
    for line, pattern in zip(lines, wanted, strict=True):
        assert re.fullmatch(pattern, line) or line == pattern, f"{step.command}: {line!r} is not {pattern!r}"
