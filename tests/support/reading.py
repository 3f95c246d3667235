"""Reads everything that there is to read in a message, and checks what holds for any octets. For fuzzing and hostile mail."""

import inspect
from collections.abc import Iterator

from mailward.formats import imap
from mailward.formats.anomalies import ANOMALIES
from mailward.formats.edits import render
from mailward.formats.message import MessageView

_NAMES = ("From", "To", "Content-Type", "X-None")


def _read_all(view: object) -> None:
    """Every public property, and every method that needs no argument; iterators to their end."""
    for name in dir(type(view)):
        if name.startswith("_"):
            continue
        value = getattr(view, name)
        if callable(value):
            if any(p.default is p.empty for p in inspect.signature(value).parameters.values()):
                continue
            value = value()
        if isinstance(value, Iterator):
            for _ in value:
                pass


def read_everything(octets: bytes) -> MessageView:
    """The view, when nothing raised and all invariants hold."""
    view = MessageView(octets)
    _read_all(view)
    for name in _NAMES:
        view.field(name), view.all(name), view.addresses(name)
    for field in view.fields:
        _read_all(field)
    for part in view.parts():
        _read_all(part)
        assert isinstance(part.decode(), bytes)
    for text in view.texts():
        _read_all(text)
    for made in (imap.envelope(view), imap.body(view), imap.bodystructure(view)):
        assert made.isascii()
    check_offsets(view)
    assert view.header_octets + view.body_octets == octets
    assert render(octets, ()) == octets
    assert set(view.anomalies) <= set(ANOMALIES)
    return view


def check_offsets(view: MessageView) -> None:
    """T-MIME-22: each part lies in the one above it, behind the header of that one and behind its elder sibling."""
    assert (view.root.start, view.root.end) == (0, len(view.octets))
    before = -1
    for part in view.root.walk():
        assert part.start <= part.body_start <= part.end
        # Only a part of no octets at all can start where the one above it starts.
        assert part.start > before or part.start == part.end == before
        before = part.start
        at = part.body_start
        for child in part.children:
            assert at <= child.start, (at, child.start)
            assert child.end <= part.end, (child.end, part.end)
            assert child.depth == part.depth + 1
            at = child.end
