"""What Stalwart answers to FETCH of its messages, item by item: ours is the same, or an RFC sentence says why not.

Stalwart keeps LF where a message has it. Line ends are made CRLF here, in messages and in what is wanted, and what counts octets is
counted anew from the content that is wanted.
"""

import re
from pathlib import Path

import pytest

from mailward.formats.words import decode_words
from support.corpora import corpus_members
from support.imap import Client, Office
from support.imap_data import Data, parse_one
from support.imap_structure import Numbered, numbered
from support.stated_rows import Row, explain

ARCHIVE = "stalwart-fetch-expectations.tar.xz"
STRUCTURES = ("BODY", "BODYSTRUCTURE")
_WANTED = re.compile(
    rb"^(?:(BODY(?:STRUCTURE)?)(?: UTF8=ACCEPT)? (?=\()|((?:BODY|BINARY(?:\.SIZE)?)\[[^]\n]*\](?:<\d+>)?) (?=[{\dN]))",
    re.MULTILINE,
)
_ITEM = re.compile(rb"\* 1 FETCH \([A-Z.]+(?:\[[^]]*\](?:<\d+>)?)? ")


ROWS = (
    Row(
        r".*",
        r"(?:BODY|BINARY(?:\.SIZE)?)\[[\d.]*\.(?:HEADER|TEXT|1)\] nothing",
        "RFC 9051 6.4.5.1: HEADER and TEXT are of message/rfc822, and what is no multipart has no part of its own",
    ),
    Row(
        r".*",
        r"BODY\[MIME\] nothing",
        "RFC 9051 6.4.5.1: the MIME part specifier must be prefixed by one or more numeric part specifiers",
    ),
    Row(
        r".*",
        r"BINARY(?:\.SIZE)?\[(?:|2|3)\]",
        "RFC 3516 4.2: a section is what BODY calls so, with its encoding undone; no header is in it",
    ),
    Row(
        r"000", r"BINARY.*\[3\.[12]\]", "RFC 2045 6.8: all characters not found in the table must be ignored by decoding software"
    ),
    Row(r"000", r"BODY\w* 3\.[12] .*", "RFC 9051 9: the media type is what the part has, which is audio and image"),
    Row(r".*", r"BODY\w* [\d.]+ encoding", "RFC 9051 9: body-fld-enc is a string, and RFC 2045 6.1: 7BIT is assumed"),
    Row(
        r"00[04]",
        r"BODY\w* [\d.]+ envelope",
        "RFC 9051 7.5.2: host and local-part are what the field has, and nothing is made up",
    ),
    Row(r".*", r"BODY\w* [\d.]+ lines", "RFC 9051 7.5.2: the size in lines is of the whole attached message"),
    Row(r".*", r"BODYSTRUCTURE [\d.]+ md5", "RFC 9051 7.5.2: the body MD5 is the value of Content-MD5, which no part has"),
    Row(r"001", r"BODY\w* 3 parameters", 'RFC 2045 5.1: parameters are separated by ";", which is missing'),
    Row(
        r"010|011", r"BODY\[1\.MIME\]", "RFC 9051 6.4.5.1: the part 1 of a message without multipart has the header's MIME fields"
    ),
    Row(
        r"011",
        r"BODY\[1\.TEXT\]|BINARY(?:\.SIZE)?\[1\]",
        "RFC 2046 5.1.1: the epilogue is of the multipart's body, and so of the message's",
    ),
    Row(r"011", r"BODY\[1\.2\.MIME\]", "RFC 9051 6.4.5.1: MIME references the MIME header of the part, all of it"),
)
"""Of messages; their items are such as "BODY 5 envelope" and "BODY[1.1] nothing"."""


def messages() -> list[str]:
    return sorted(Path(name).stem for name in corpus_members("imap", ARCHIVE) if name.endswith(".imap"))


def with_crlf(octets: bytes) -> bytes:
    return re.sub(rb"\r?\n", b"\r\n", octets)


def stated(octets: bytes) -> dict[str, Data]:
    """What is wanted, by what is asked for."""
    found: dict[str, Data] = {}
    at = 0
    while match := _WANTED.search(octets, at):
        literal = re.compile(rb"\{(\d+)\}\r?\n").match(octets, match.end())
        value: Data
        if literal:
            at = literal.end() + int(literal[1])
            value = with_crlf(octets[literal.end() : at])
        else:
            value, at = parse_one(octets, match.end())
        found[(match[1] or match[2]).decode()] = value
    for item in found:  # counted anew
        whole = found.get(re.sub(r"<\d+>$", "", item.replace("BINARY.SIZE", "BINARY")))
        if isinstance(whole, bytes) and item.startswith("BINARY.SIZE"):
            found[item] = len(whole)
        elif isinstance(whole, bytes) and item.endswith("<10>"):
            found[item] = whole[10:35]
    return found


def structure(data: Data, wanted: dict[str, Data], *, extended: bool) -> Numbered:
    """By part; sizes are of what is wanted, and a message/rfc822 that is one by default in a digest is called so."""
    parts = numbered(_with_subtypes(data), extended=extended)
    for number, items in parts.items():
        if isinstance(whole := wanted.get(f"BODY[{number}]"), bytes) and "size" in items:
            items["size"] = len(whole)
    return parts


def _with_subtypes(data: Data) -> Data:
    if not isinstance(data, list):
        return data
    if data[:2] == [b"message", None]:
        data = [b"message", b"rfc822", *data[2:]]
    return [_with_subtypes(each) for each in data]


def is_like(ours: Data, theirs: Data) -> bool:
    """With encoded-words as the text they are, names of fields in any case, and "" for what is not there."""
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(is_like, ours, theirs))
    if isinstance(ours, bytes) and isinstance(theirs, bytes):
        return _even(ours) == _even(theirs)
    return (ours or None) == (theirs or None)


def _even(octets: bytes) -> str:
    return decode_words(re.sub(rb"(?m)^[\w-]+:", lambda name: name[0].lower(), octets))


async def ours(client: Client, item: str) -> Data:
    """None for what is no such item, as for what is not there."""
    asked = re.sub(r"<(\d+)>$", r"<\1.25>", item.replace("[", ".PEEK[") if not item.startswith("BINARY.SIZE") else item)
    for reply in await client.command(f"FETCH 1 ({asked})"):
        if match := _ITEM.match(reply):
            return parse_one(reply, match.end())[0]
    return None


@pytest.mark.parametrize("name", messages())
async def test_fetch(name: str, tmp_path: Path) -> None:
    members = corpus_members("imap", ARCHIVE)
    (wanted_octets,) = (octets for member, octets in members.items() if member.endswith(f"{name}.imap"))
    (message,) = (octets for member, octets in members.items() if member.endswith(f"{name}.txt"))
    client = await Client(Office(tmp_path)).login()
    assert (await client.append("INBOX", with_crlf(message))).startswith(b"OK ")
    await client.ok("SELECT INBOX")
    wanted = stated(wanted_octets)
    differing: dict[str, tuple[Data, Data]] = {}
    for item, theirs in wanted.items():
        mine = await ours(client, item)
        if item not in STRUCTURES:
            differing |= {} if is_like(mine, theirs) else {item if mine else f"{item} nothing": (mine, theirs)}
            continue
        extended = item == "BODYSTRUCTURE"
        parts, their_parts = numbered(mine, extended=extended), structure(theirs, wanted, extended=extended)
        assert parts.keys() == their_parts.keys()
        for number, items in parts.items():
            for what in items.keys() | their_parts[number].keys():
                pair = items.get(what), their_parts[number].get(what)
                differing |= {} if is_like(*pair) else {f"{item} {number} {what}": pair}
    explain(ROWS, name, differing)
