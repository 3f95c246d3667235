"""In how many ways can this message be read? (T-MIME-01..19, 28, 29)

First what its header declares: the content of each leaf, of opened messages, S/MIME objects, TNEF and files in the text. For
honest mail that is all. Where anomalies say that another reader may find other parts or other octets, every plausible reading
follows: other transfer encodings, boundaries, ends of headers, and what looks encoded without regard to structure. What comes in
fragments (message/partial) or lies elsewhere (message/external-body) is never put together here.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Protocol

from mailward.formats.anomalies import is_suspicious
from mailward.formats.blocks import Block, blocks_of, body_starts, looks_like_part
from mailward.formats.budgets import ENCODED_MESSAGE_OCTETS, ENCODED_MESSAGES, TEXT_OCTETS
from mailward.formats.cms import is_cms, read_cms
from mailward.formats.filenames import extension_of
from mailward.formats.hidden import Span, base64_runs, gaps, has_base64_line, has_escapes, has_hidden_field, named_encodings
from mailward.formats.hidden_texts import hidden_texts, undone
from mailward.formats.inline_files import find_inline_files
from mailward.formats.octets import Octets, find
from mailward.formats.oddities import FRAGMENT_TYPES
from mailward.formats.parameters import parse_parameterised, strip_comments
from mailward.formats.part import PartView
from mailward.formats.readings import BLANKS, Body, Gathering, Header, Readings, trimmed
from mailward.formats.tnef import is_tnef, read_tnef
from mailward.formats.transfer import ENCODED, decode_chunks, is_sound, other_decodings

_PARAMETER_OCTETS = 1024
_NOT_IN_TYPE = re.compile(rb'[\s"\0]+')
_MOST_TYPES = 4
_PLACES = 16
"""At so many places of one header a boundary is looked for; those of further ones are guessed from their lines."""
_ALL_PLACES = 256
"""Of a message. Each is read in all the ways there are."""
_HEAD_OCTETS = 128
"""Encoded octets, of honest mail enough to tell how the content begins."""
_TOLD_OCTETS = 32
"""Of the content, enough to tell."""
_CMS_TYPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_PGP = b"-----BEGIN PGP MESSAGE-----"
_TNEF_TYPES = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})


class Message(Protocol):
    """What is asked of a message."""

    @property
    def octets(self) -> Octets: ...
    @property
    def header_octets(self) -> bytes: ...
    @property
    def anomalies(self) -> tuple[str, ...]: ...
    @property
    def root(self) -> PartView: ...
    def parts(self) -> Iterator[PartView]: ...


Opener = Callable[[bytes], Message]
"""Makes a message of octets."""
_Inner = tuple[str, bytes]
"""A message inside another one: how its parts are called, its octets."""


def readings_of(message: Message, opened: Opener) -> Readings:
    """Every reading of a message and of the messages that have to be decoded to be seen."""
    gathering = Gathering(len(message.octets))
    waiting = [(message, "", 0)]
    while waiting:
        each, within, level = waiting.pop()
        gathering.keep(each.octets)
        for label, octets in _Reader(each, within, gathering, opened).read():
            if level < ENCODED_MESSAGES:
                waiting.append((opened(octets), label, level + 1))
            else:
                gathering.is_cut = True
    return gathering.readings()


class _Reader:
    """Reads one message that lies in one buffer."""

    def __init__(self, message: Message, within: str, gathering: Gathering, opened: Opener) -> None:
        self._octets = message.octets
        self._within = within
        self._gathering = gathering
        self._opened = opened
        self._parts = [part for part in message.parts() if part.buffer is message.octets]
        self._leaves = [part for part in self._parts if not part.is_multipart and not part.children]
        self._headers = [message.header_octets, *(part.header_octets for part in self._parts[1:])]
        self._anomalies = message.anomalies
        self._shown = sorted(Span(p.body_start, p.end) for p in self._leaves if p.encoding not in ENCODED)

    def read(self) -> Iterator[_Inner]:
        """Add the declared readings, and the others if there is a reason for them. Yields what must be opened to go on."""
        for part in self._leaves:
            self._gathering.add_declared(self._body_of(part), _declared_as(part), part.encoding)
            yield from self._look_into(part)
        for part in self._parts:
            if part.encoding in ENCODED and (part.is_multipart or part.is_message or _claims_parts(part)):
                yield from self._opened_encoded(part)
        if self._is_suspicious():
            self._add_others()
        else:
            self._add_runs([span for span in self._shown if has_base64_line(self._octets, span)])

    def _is_suspicious(self) -> bool:
        """The line at the top that mbox files have is no field, but no reader takes it for more."""
        odd = (f for part in self._parts if "MALFORMED_FIELD" in part.problems for f in part.fields if f.is_malformed)
        return (
            is_suspicious(self._anomalies)
            or any(not f.raw.startswith(b"From ") for f in odd)
            or any(map(has_hidden_field, self._headers))
        )

    def _body_of(self, part: PartView) -> Body:
        header = Header(self._within + part.number, part.content_type, part.filenames)
        return Body(header, part.buffer, part.body_start, part.end)

    def _look_into(self, part: PartView) -> Iterator[_Inner]:
        number = self._within + part.number
        # Readers go by the type, by one of the names, or by how the content begins (T-MIME-23).
        head = _beginning(part)
        if part.content_type in _CMS_TYPES or is_cms(head) or _has_extension(part, "p7m", "p7z"):
            yield from self._opened_cms(number, self._decoded(part))
        if part.content_type in _TNEF_TYPES or is_tnef(head) or any(name.lower() == "winmail.dat" for name in part.filenames):
            self._add_tnef(number, self._decoded(part))
        if part.content_type == "application/pgp-encrypted":
            self._gathering.has_encrypted = True
        if part.content_type.startswith("text/"):
            self._add_text(part)
        if part.content_type.startswith("message/") and part.content_type not in FRAGMENT_TYPES:
            # message/news, reports: some readers open whatever is called a message.
            yield f"{number} as message, ", self._decoded(part)
        yield from self._opened_as_others_say(part, number)

    def _opened_as_others_say(self, part: PartView, number: str) -> Iterator[_Inner]:
        """To readers that take another Content-Type than the first one, or a name that says message (T-MIME-10)."""
        fields = [field for field in part.fields if field.name.lower() == "content-type"]
        for field in fields[1:_MOST_TYPES]:
            said = _type_of(field.value)
            if said.startswith(b"text/"):
                self._add_text(part)
            elif said.startswith(b"multipart/"):
                yield f"{number} as another type, ", field.raw + b"\r\n" + self._decoded(part)
            elif said.startswith(b"message/"):
                yield f"{number} as another type, ", self._decoded(part)
        is_named = _has_extension(part, "eml")
        if part.encoding in ENCODED and (is_named or (fields and _type_of(fields[0].value).endswith(b"/rfc822"))):
            yield f"{number} as message, ", self._decoded(part)

    def _opened_cms(self, number: str, octets: bytes) -> Iterator[_Inner]:
        cms = read_cms(octets)
        self._gathering.has_encrypted = self._gathering.has_encrypted or cms.kind == "encrypted"
        self._gathering.is_cut = self._gathering.is_cut or cms.is_cut
        if cms.content:
            self._gathering.keep(cms.content)
            content = Body(Header(f"{number} signed"), cms.content, 0, len(cms.content))
            self._gathering.add(content, "out of the signature", "7bit")
            yield f"{number} signed, ", cms.content

    def _add_tnef(self, number: str, octets: bytes) -> None:
        self._gathering.keep(octets)
        tnef = read_tnef(octets)
        self._gathering.is_cut = self._gathering.is_cut or tnef.is_cut
        for file in tnef.files:
            header = Header(f"{number} TNEF", file.type or "application/octet-stream", file.names)
            if file.is_packed:
                self._gathering.add_chunks(header, "out of TNEF", file.end - file.start, partial(file.chunks, octets))
            else:
                self._gathering.add(Body(header, octets, file.start, file.end), "out of TNEF", "7bit")

    def _add_text(self, part: PartView) -> None:
        """What a text holds beside what its octets are: files, and the text itself where ASCII is not written as ASCII."""
        octets, start, end = part.buffer, part.body_start, part.end
        if part.encoding in ENCODED:
            if part.size_octets > ENCODED_MESSAGE_OCTETS and (part.filenames or part.disposition == "attachment"):
                return  # readers offer to save it, and look for nothing in it
            octets = self._decoded(part)
            start, end = 0, len(octets)
        if find(octets, _PGP, start, end) >= 0:
            self._gathering.has_encrypted = True
        charsets = [value.decode("latin-1") for name, value in part.type_octets if name.lower().startswith(b"charset")]
        charsets.append(part.charset)  # RFC 2231: it may be encoded, or come in pieces
        for form in hidden_texts(bytes(octets[start : min(end, start + TEXT_OCTETS)]), charsets):
            header = Header(self._within + part.number, part.content_type, part.filenames)
            chunks = partial(_undone, octets, start, end, form)
            most_octets = 2 * (end - start)  # a letter of two octets may take three in UTF-8
            self._gathering.add_chunks(header, f"as text in {form}", most_octets, chunks)
        for file in find_inline_files(octets, start, end):
            header = Header(self._within + part.number, filenames=(file.name,) if file.name else ())
            size, chunks = file.end - file.start, partial(file.chunks, octets)
            self._gathering.add_chunks(header, f"{file.kind} in the text", size, chunks, is_rival=True)

    def _opened_encoded(self, part: PartView) -> Iterator[_Inner]:
        """RFC 2045 section 6.4 forbids it, yet readers decode it: a multipart or a message with a transfer encoding."""
        octets = self._decoded(part)
        declared = part.field("Content-Type")
        if not part.is_message and declared is not None:
            octets = declared.raw + b"\r\n" + octets
        yield f"{self._within}{part.number} decoded, ", octets

    def _decoded(self, part: PartView) -> bytes:
        """The whole content; b"" when it is too much to be looked into."""
        if part.size_octets > ENCODED_MESSAGE_OCTETS:
            self._gathering.is_cut = True
        elif self._gathering.spend(part.size_octets):
            return part.decode()
        return b""

    def _add_others(self) -> None:
        octets, body_start = self._octets, len(self._headers[0])
        for part in self._parts:
            is_leaf = not part.is_multipart and not part.children
            self._add_decodings(self._body_of(part), part.header_octets, is_rival=is_leaf, as_it_stands=is_leaf)
            if _is_undecided(part):
                self._gathering.add(self._body_of(part), "as it stands", "7bit", is_rival=not self._is_shown(self._body_of(part)))
        decoded = [Span(part.body_start, part.end) for part in self._leaves if part.encoding == "base64"]
        self._add_runs(gaps(0, len(octets), decoded))
        decoded = [Span(part.body_start, part.end) for part in self._leaves if part.encoding == "quoted-printable"]
        if has_escapes(octets, gaps(body_start, len(octets), decoded)):
            whole = Header(f"{self._within}all of it", "message/rfc822")
            self._gathering.add(Body(whole, octets, 0, len(octets)), "quoted-printable", "quoted-printable")
        known = {trimmed(octets, part.start, part.end) for part in self._parts if part.is_multipart or part.children}
        places = [place for header in self._headers for place in _boundary_places(header)]
        blocks = blocks_of(octets, body_start, chain.from_iterable(map(_boundaries, places[:_ALL_PLACES])))
        self._gathering.is_cut = self._gathering.is_cut or blocks.is_cut or len(places) > _ALL_PLACES
        self._add_block(Block(0, len(octets), b""), is_part=False)
        for part in self._parts:
            if part.parent is not None and part.parent.is_message:  # no delimiter stands above its header
                self._add_block(Block(part.start, part.end, b""), is_part=True)
        for block in blocks.found:
            span = trimmed(octets, block.start, block.end)
            if span not in known:  # boundaries that begin alike cut the same blocks
                known.add(span)
                self._add_block(block, is_part=looks_like_part(octets, block.start, block.end))

    def _add_block(self, block: Block, *, is_part: bool) -> None:
        for body_start in body_starts(self._octets, block):
            header_octets = bytes(self._octets[block.start : body_start])
            root = self._opened(header_octets.strip(BLANKS) + b"\r\n\r\n").root
            header = Header(f"{self._within}octets {block.start} to {block.end}", root.content_type, root.filenames)
            body = Body(header, self._octets, body_start, block.end)
            self._add_decodings(body, header_octets, is_rival=is_part)

    def _add_decodings(self, body: Body, header_octets: bytes, *, is_rival: bool, as_it_stands: bool = True) -> None:
        """A body under every encoding that its header names to somebody, in every way that clients are known for."""
        for encoding in named_encodings(header_octets) or ("7bit",):
            if encoding == "7bit":
                if as_it_stands:
                    self._gathering.add(body, "as it stands", encoding, is_rival=is_rival and not self._is_shown(body))
                continue
            if encoding in ENCODED:
                self._gathering.add(body, f"as {encoding}", encoding, is_rival=is_rival)
            if encoding not in ENCODED or not is_sound(body.octets, body.start, body.end, encoding):
                for other in other_decodings(encoding):
                    self._gathering.add(body, f"as {encoding}, {other.name}", encoding, other, is_rival=is_rival)

    def _is_shown(self, body: Body) -> bool:
        """The declared readings show these octets as they stand, if only as part of a longer text."""
        start, end = trimmed(body.octets, body.start, body.end)
        return any(span.start <= start and end <= span.end for span in self._shown)

    def _add_runs(self, spans: "Iterator[Span] | list[Span]") -> None:
        for run in base64_runs(self._octets, spans):
            header = Header(f"{self._within}octets {run.start} to {run.end}")
            self._gathering.add(Body(header, self._octets, run.start, run.end), "base64 that no header names", "base64")


def _undone(octets: Octets, start: int, end: int, form: str) -> Iterator[bytes]:
    yield undone(bytes(octets[start : min(end, start + TEXT_OCTETS)]), form)


def _beginning(part: PartView) -> bytes:
    """The first octets of the content. What decoders skip may stand before them at any length, so then all is gone through."""
    start, _ = trimmed(part.buffer, part.body_start, part.end)
    for end in dict.fromkeys((min(part.end, start + _HEAD_OCTETS), part.end)):
        head = b""
        for chunk in decode_chunks(part.buffer, start, end, part.encoding):
            head += chunk
            if len(head) >= _TOLD_OCTETS:
                return head
    return head


def _has_extension(part: PartView, *extensions: str) -> bool:
    return any(extension_of(name) in extensions for name in part.filenames)


def _declared_as(part: PartView) -> str:
    return f"as {part.encoding}" if part.encoding in ENCODED else "as it stands"


def _is_undecided(part: PartView) -> bool:
    """Another reader may well take the body as it stands: the field about it is odd, or says what must not be said of it."""
    odd = part.problems & {"MALFORMED_ENCODING", "DUPLICATE_CONTENT_TRANSFER_ENCODING"}
    if odd or (part.encoding in ENCODED and _claims_parts(part)):
        return True
    return any(field.is_malformed and field.name.lower().startswith("content-") for field in part.fields)


def _claims_parts(part: PartView) -> bool:
    """It is read as text only because its body, as it stands, has no parts."""
    declared = part.field("Content-Type")
    return declared is not None and _type_of(declared.value).startswith((b"multipart/", b"message/"))


def _type_of(value: bytes) -> bytes:
    """The media type as the most forgiving reader takes it: comments, quotes and blanks aside, in lower case."""
    return _NOT_IN_TYPE.sub(b"", strip_comments(value[:_PARAMETER_OCTETS])).lower()


def _boundary_places(header: bytes) -> Iterator[bytes]:
    """What follows at each place of a header where the word stands (T-MIME-04)."""
    lowered, position = header.lower(), 0
    for _ in range(_PLACES):
        position = lowered.find(b"boundary", position)
        if position < 0:
            return
        yield header[position : position + _PARAMETER_OCTETS].replace(b"\r", b"").replace(b"\n", b"")
        position += len(b"boundary")


def _boundaries(place: bytes) -> tuple[bytes, ...]:
    """Every boundary that some reader finds there."""
    return parse_parameterised(b"multipart/mixed; " + place).boundaries
