"""Content-Type and Content-Disposition of others: boundaries and file names that are meant to be missed, and those of all mail."""

import email
import email.policy
import re
import tarfile
from collections.abc import Iterator
from email.message import Message
from typing import Any

import pytest

from mailward.formats import parameters
from mailward.formats.anomalies import hide_content
from mailward.formats.filenames import extension_of, filenames
from mailward.formats.header import unfold
from mailward.formats.message import MessageView
from mailward.formats.parameters import Parameterised, parse_parameterised
from mailward.formats.words import decode_words
from support.corpora import corpus, corpus_json, corpus_members

_FIELD = re.compile(rb"^(Content-Type|Content-Disposition)[ \t]*:((?:[^\n]*\n)(?:[ \t][^\n]*\n)*)", re.IGNORECASE | re.MULTILINE)
_TRUE_NAME = re.compile(rb"file named 'test\.(\w+)'")

NOT_NAMED = {
    "hidehdr": "the field is folded into another one",
    "miss_bdrdef": "no boundary is given",
    "missing_outer_end": "the multipart inside is never closed",
    "wrong_key": "the parameter is called oundary",
}
"""What no reading of a parameter can find; the multipart then names its own anomaly."""

UNLIKE_STALWART = {
    "'en'": "a parameter that no semicolon begins is part of the one before it, as its value is not quoted",
    "/": "a type without a name is refused there; here its parameters are still read, for scanners",
    "name=": "a parameter with nothing behind its equals sign is given, and empty; blanks at the end do not count",
    "=value": "a parameter without a name is given under an empty one",
    "malicious": "RFC 2231 section 7: nothing but a number and an asterisk may stand behind the first asterisk of a name",
}


def _fields(*archives: str) -> Iterator[tuple[str, bytes]]:
    for archive in archives:
        with tarfile.open(corpus(*archive.split("/"))) as members:
            for member in members:
                if (file := members.extractfile(member)) is not None:
                    for name, value in _FIELD.findall(file.read()):
                        yield name.decode().lower(), value


def test_t_mime_23_the_true_name_of_a_hidden_file_is_among_the_candidates() -> None:
    """mime-is-broken: each payload says which extension its file has for some client. Or the message is ambiguous MIME.

    The two messages `...png` are the plain ones without any trick, in which nobody sees another name.
    """
    missed = []
    for name, octets in corpus_members("mime-evasion", "hide-filename.d.tar.xz").items():
        view = MessageView(octets)
        for part in view.parts():
            true = _TRUE_NAME.search(part.decode())
            if true is None or name.endswith(".png.eml") or hide_content(view.anomalies):
                continue
            if true.group(1).decode() not in map(extension_of, part.filenames):
                missed.append((name, part.filenames))
    assert missed == []


def test_t_mime_01_to_07_the_true_boundary_is_among_the_candidates() -> None:
    """mime-is-broken: the delimiter lines say which boundary some client takes. More than one reading is ambiguous MIME."""
    missed = []
    for name, octets in corpus_members("mime-evasion", "hide-content.d.tar.xz").items():
        if not name.startswith("multipart-") or name.startswith("multipart-basic") or any(tried in name for tried in NOT_NAMED):
            continue
        header, _, body = octets.partition(b"\n\n")
        used = {line[2:-2].strip() for line in body.split(b"\n") if line.startswith(b"--") and line.endswith(b"--")}
        found = [parse_parameterised(unfold(value)) for _, value in _FIELD.findall(header + b"\n")]
        if not used & {boundary.strip() for field in found for boundary in field.boundaries}:
            missed.append(name)
        for field in found:
            assert len(field.boundaries) == 1 or hide_content(field.problems), name
    assert missed == []


def _stdlib(name: str, value: bytes) -> Iterator[Message]:
    for policy in (email.policy.compat32, email.policy.default):
        yield email.message_from_bytes(name.encode() + b": " + value + b"\n\n", policy=policy)


def _missed(name: str, value: bytes, found: Parameterised) -> list[object]:
    """The boundaries and names with other extensions that the standard library finds, and we do not."""
    missed: list[object] = []
    boundaries = {boundary.decode("latin-1").strip() for boundary in found.boundaries}
    extensions = {extension_of(name) for name in filenames(found, found)} | {""}
    for message in _stdlib(name, value):
        try:
            boundary, filename = message.get_boundary(), message.get_filename()
        except Exception:
            continue
        if boundary is not None and boundary.isascii() and boundary.strip() not in boundaries:
            missed.append(boundary)
        # Of a name the extension counts; an encoded-word that is left as it stands has none to hide.
        if filename and extension_of(decode_words(filename.encode())) not in extensions:
            missed.append(filename)
    return missed


@pytest.mark.parametrize("folder", ["mime", "mime-evasion", "clients", "av-samples"])
def test_what_the_standard_library_reads_is_among_the_candidates(folder: str) -> None:
    archives = sorted(f"{folder}/{path.name}" for path in corpus(folder).glob("*.tar.xz"))
    missed = []
    for name, value in set(_fields(*archives)):
        value = unfold(value)
        found = parse_parameterised(value)
        if (others := _missed(name, value, found)) and not found.problems:
            missed.append((value, others))
    assert missed == []


@pytest.mark.parametrize("vector", corpus_json("mime", "stalwart-field-vectors.json")["content_type"])  # type: ignore[index]
def test_stalwart_content_types(vector: dict[str, Any]) -> None:
    found = parse_parameterised(unfold(vector["header"].encode()))
    expected = vector["expected"] or {"c_type": "", "c_subtype": None, "attributes": None}
    same = found.value == "/".join(filter(None, (expected["c_type"], expected["c_subtype"]))) and (
        dict(found.parameters) == dict(expected["attributes"] or [])
    )
    assert same or any(known in vector["header"] for known in UNLIKE_STALWART)


def test_mail_of_people_and_lists_takes_the_quick_way() -> None:
    values = [unfold(value) for _, value in _fields("spam/modern-lists.tar.xz")]
    quick = sum(parameters._ordinary(value) is not None for value in values)
    assert len(values) > 3000
    assert quick / len(values) > 0.99
    assert not any(hide_content(parse_parameterised(value).problems) for value in values)
