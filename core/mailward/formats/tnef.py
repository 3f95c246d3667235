"""Which files does a winmail.dat hold? The stream that Outlook makes of a message (MS-OXTNEF).

A listing by offsets: bounds are checked, nothing is copied, messages inside messages are read one after another. What is damaged
is read up to the damage, and said to be so.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from mailward.formats.budgets import DEPTH, TNEF_FILES
from mailward.formats.charsets import decode_charset
from mailward.formats.chunks import pieces
from mailward.formats.lzfu import unpack_rtf
from mailward.formats.octets import Octets

_SIGNATURE = b"\x78\x9f\x3e\x22"
_HEAD_OCTETS = 6
"""The signature and a key."""
_OEM_CODE_PAGE = 0x00069007
_BODY = 0x0002800C
_MESSAGE_PROPERTIES = 0x00069003
_RENDERING = 0x00069002
_TITLE = 0x00018010
_TRANSPORT_NAME = 0x00069001
_DATA = 0x0006800F
_META_FILE = 0x00068011
_ATTACHMENT_PROPERTIES = 0x00069005
_MESSAGE_IID = b"\x07\x03\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46"

_NAME_OCTETS = 4096
"""What is read of a name."""

_STRING8, _UNICODE, _OBJECT, _BINARY = 0x1E, 0x1F, 0x0D, 0x102
_SIZES = {0x02: 4, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 4, 0x14: 8, 0x40: 8, 0x48: 16}
"""Of the property types of fixed size (MS-OXCDATA section 2.11.1), each padded to four octets."""
_SEVERAL = 0x1000
_NAMED = 0x8000

_BODIES = {0x1000: ("body.txt", "text/plain"), 0x1009: ("body.rtf", "application/rtf"), 0x1013: ("body.html", "text/html")}
_RTF = 0x1009
_LONG_NAME, _SHORT_NAME, _DISPLAY_NAME = 0x3707, 0x3704, 0x3001
_MEDIA_TYPE = 0x370E
_CONTENT = 0x3701


@dataclass(frozen=True, slots=True)
class TnefFile:
    """One file. names: all that the stream gives it, the one that Outlook shows first. type: "image/png", "" when it is not said.

    start, end: where its octets lie. is_message: it is a TNEF stream of its own, whose files are listed, too.
    is_packed: it is compressed RTF (MS-OXRTFCP).
    """

    names: tuple[str, ...]
    type: str
    start: int
    end: int
    is_message: bool = False
    is_packed: bool = False

    @property
    def name(self) -> str:
        """A stranger's text; "" when there is none; never a path."""
        return next(iter(self.names), "")

    def chunks(self, octets: Octets) -> Iterator[bytes]:
        """What it holds, piece by piece, from the octets in which it was found."""
        return (unpack_rtf if self.is_packed else pieces)(octets, self.start, self.end)


@dataclass(frozen=True, slots=True)
class Tnef:
    """is_damaged: the stream ends early or holds what is no attribute.

    is_cut: it holds more files, or deeper ones, than are listed.
    """

    files: tuple[TnefFile, ...]
    is_damaged: bool = False
    is_cut: bool = False


@dataclass(slots=True)
class _Attachment:
    """What the attributes of one attachment have said so far."""

    names: dict[int, str] = field(default_factory=dict)
    type: str = ""
    contents: list[tuple[int, int, bool]] = field(default_factory=list)

    def files(self) -> Iterator[TnefFile]:
        order = (_LONG_NAME, _TRANSPORT_NAME, _TITLE, _SHORT_NAME, _DISPLAY_NAME)
        names = tuple(dict.fromkeys(self.names[key] for key in order if self.names.get(key)))
        for start, end, is_message in self.contents:
            yield TnefFile(names, self.type, start, end, is_message)


@dataclass(frozen=True, slots=True)
class _Property:
    tag: int
    type: int
    start: int
    end: int


def is_tnef(octets: Octets, start: int = 0) -> bool:
    """The octets start like a TNEF stream."""
    return octets[start : start + 4] == _SIGNATURE


def read_tnef(octets: Octets, start: int = 0, end: int | None = None) -> Tnef:
    """The files of the stream, bodies included, and then those of the messages attached to it."""
    files: list[TnefFile] = []
    is_damaged = is_cut = False
    waiting = deque([(start, len(octets) if end is None else end, 0)])
    while waiting:
        at, stop, depth = waiting.popleft()
        reader = _Reader(octets, at, stop)
        for file in reader.files():
            if len(files) == TNEF_FILES:
                return Tnef(tuple(files), is_damaged, is_cut=True)
            files.append(file)
            if file.is_message and depth + 1 < DEPTH:
                waiting.append((file.start, file.end, depth + 1))
            is_cut |= file.is_message and depth + 1 >= DEPTH
        is_damaged |= reader.is_damaged
    return Tnef(tuple(files), is_damaged, is_cut)


class _Reader:
    """One stream, without those inside it."""

    def __init__(self, octets: Octets, start: int, end: int) -> None:
        self._octets = octets
        self._start = start
        self._end = end
        self._charset = "windows-1252"
        self.is_damaged = False

    def files(self) -> Iterator[TnefFile]:
        attachment = _Attachment()
        for tag, start, end in self._attributes():
            if tag == _RENDERING:
                yield from attachment.files()
                attachment = _Attachment()
            elif tag == _OEM_CODE_PAGE:
                self._charset = f"cp{self._number(start, end)}"
            elif tag == _BODY:
                yield TnefFile(("body.txt",), "text/plain", start, end)
            elif tag == _MESSAGE_PROPERTIES:
                yield from self._bodies(start, end)
            elif tag in (_TITLE, _TRANSPORT_NAME):
                attachment.names[tag] = self._text(_STRING8, start, end)
            elif tag == _DATA:
                attachment.contents.append((start, end, False))
            elif tag == _META_FILE:
                # The icon that stands for the attachment, not the attachment.
                yield TnefFile((), "image/wmf", start, end)
            elif tag == _ATTACHMENT_PROPERTIES:
                self._describe(attachment, start, end)
        yield from attachment.files()

    def _attributes(self) -> Iterator[tuple[int, int, int]]:
        """Tag, start and end of each attribute; a length that leads beyond the end is cut."""
        at = self._start + _HEAD_OCTETS
        if not is_tnef(self._octets, self._start) or at > self._end:
            self.is_damaged = True
            return
        while at + 9 <= self._end:
            head = self._octets[at : at + 9]
            start = at + 9
            end = start + int.from_bytes(head[5:], "little")
            if head[0] not in (1, 2) or end + 2 > self._end:
                self.is_damaged = True
            if head[0] not in (1, 2):
                return
            yield int.from_bytes(head[1:5], "little"), start, min(end, self._end)
            at = end + 2
        self.is_damaged |= at < self._end

    def _bodies(self, start: int, end: int) -> Iterator[TnefFile]:
        for found in self._properties(start, end):
            if found.tag in _BODIES and found.end > found.start:
                name, media_type = _BODIES[found.tag]
                yield TnefFile((name,), media_type, found.start, found.end, is_packed=found.tag == _RTF)

    def _describe(self, attachment: _Attachment, start: int, end: int) -> None:
        for found in self._properties(start, end):
            if found.tag in (_LONG_NAME, _SHORT_NAME, _DISPLAY_NAME):
                attachment.names[found.tag] = self._text(found.type, found.start, found.end)
            elif found.tag == _MEDIA_TYPE:
                attachment.type = self._text(found.type, found.start, found.end).lower()
            elif found.tag == _CONTENT and found.end > found.start:
                # The interface that the object has stands before it.
                content = found.start + 16 if found.type == _OBJECT else found.start
                is_message = self._octets[found.start : content] == _MESSAGE_IID and is_tnef(self._octets, content)
                attachment.contents.append((min(content, found.end), found.end, is_message))

    def _properties(self, start: int, end: int) -> Iterator[_Property]:
        """The values of a list of MAPI properties (MS-OXTNEF section 2.1.3.4)."""
        at = start + 4
        for _ in range(min(self._number(start, end), (end - start) // 4)):
            kind, tag = self._number(at, end, 2), self._number(at + 2, end, 2)
            at += 4
            if tag >= _NAMED:
                at += 20
                # Named by a number, or by text of this many octets.
                at += 4 if self._number(at - 4, end) == 0 else 4 + _padded(self._number(at, end))
            basic = kind & ~_SEVERAL
            is_sized = basic in (_STRING8, _UNICODE, _OBJECT, _BINARY)
            values = 1
            if is_sized or kind & _SEVERAL:
                values = self._number(at, end)
                at += 4
            if not is_sized and basic not in _SIZES:
                self.is_damaged = True
                return
            for _ in range(min(values, (end - at) // 4 + 1)):
                size = self._number(at, end) if is_sized else _SIZES[basic]
                at += 4 if is_sized else 0
                if at + size > end:
                    self.is_damaged = True
                    if at < end:
                        yield _Property(tag, basic, at, end)
                    return
                yield _Property(tag, basic, at, at + size)
                at += _padded(size)

    def _number(self, start: int, end: int, size: int = 4) -> int:
        """A number of the stream; what lies beyond the end counts as zero."""
        return int.from_bytes(self._octets[start : min(start + size, end)], "little") if start < end else 0

    def _text(self, kind: int, start: int, end: int) -> str:
        octets = self._octets[start : min(end, start + _NAME_OCTETS)]
        text = octets.decode("utf-16-le", "replace") if kind == _UNICODE else decode_charset(octets, self._charset)
        return text.split("\0", 1)[0].strip()


def _padded(size: int) -> int:
    return (size + 3) & ~3
