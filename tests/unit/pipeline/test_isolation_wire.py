"""Whatever octets a plugin's process sends, reading them runs no code and ends in values of the API or in one error."""

import pickle
import struct
from dataclasses import is_dataclass
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailward.api import AddHeader, CommandCall, Facts, Finding, Identity, ReplacePart, ServerCall, Settings, hooks
from mailward.pipeline.isolation import values
from mailward.pipeline.isolation.values import BadValue, Foreign, Packing, Unpacking
from mailward.pipeline.isolation.wire import BadFrame, FrameReader, frame
from mailward.pipeline.stages import PLACES
from mailward.testing.calling import argument_types, ordinary_arguments

LIMIT = 1 << 16

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=30,
)
WORDS = st.sampled_from(["o", "t", "l", "d", "b", "m", "e", "D", "d1", "f", "F", "c", "h", "?", "Finding", "Session", "Role"])
PACKED = st.recursive(
    WORDS | JSON, lambda inner: st.lists(inner, max_size=6).map(lambda many: ["o", *many]) | st.lists(inner), max_leaves=20
)


@given(st.binary(max_size=300), st.integers(1, 50))
def test_t_plug_11_any_octets_are_frames_or_one_error(octets: bytes, piece: int) -> None:
    reader = FrameReader(LIMIT)
    try:
        for at in range(0, len(octets), piece):
            for one in reader.feed(octets[at : at + piece]):
                assert isinstance(one.fields[0], str)
    except BadFrame:
        pass


@given(PACKED)
def test_t_plug_10_any_packed_value_is_a_value_or_one_error(packed: object) -> None:
    unpacking = Unpacking(Facts, [b"blob"])
    try:
        value = unpacking.unpack(packed)
    except BadValue:
        return
    assert type(value).__module__.partition(".")[0] in ("builtins", "mailward", "datetime") or isinstance(value, Foreign)


def test_t_plug_11_a_length_of_4_gb_is_refused_before_anything_is_kept() -> None:
    with pytest.raises(BadFrame, match="a frame of 4294967296 octets"):
        list(FrameReader(LIMIT).feed(struct.pack("!II", 1, 0xFFFFFFFF)))


@pytest.mark.parametrize(
    "text", [b"[]", b"{}", b"[1,[]]", b'["x",[-1]]', b'["x",[true]]', b"[" * 5000, b'["x"]', b'["x",["a"]]', b"\xff"]
)
def test_t_plug_11_a_frame_of_another_shape_is_refused(text: bytes) -> None:
    with pytest.raises(BadFrame):
        list(FrameReader(LIMIT).feed(struct.pack("!II", len(text), 0) + text))


def test_t_plug_10_a_pickle_is_no_value() -> None:
    class Boom:
        def __reduce__(self) -> Any:
            return (pytest.fail, ("code of the plugin ran",))

    octets = pickle.dumps(Boom())
    with pytest.raises(BadFrame):
        list(FrameReader(LIMIT).feed(struct.pack("!II", len(octets), 0) + octets))
    assert Unpacking(Facts, [octets]).unpack(["b", 0]) == octets


@given(st.lists(st.binary(max_size=40), max_size=4), st.integers(1, 9))
def test_a_frame_comes_as_it_was_sent_in_any_pieces(blobs: list[bytes], piece: int) -> None:
    octets = b"".join(frame(["word", 1, "ü\ud800"], blobs)) * 2
    reader = FrameReader(LIMIT)
    got = [one for at in range(0, len(octets), piece) for one in reader.feed(octets[at : at + piece])]
    assert [(one.fields, one.blobs) for one in got] == [(["word", 1, "ü\ud800"], blobs)] * 2


@pytest.mark.parametrize("hook", PLACES)
def test_what_every_hook_is_given_arrives_as_it_was(hook: str) -> None:
    for name, value in ordinary_arguments(hook).items():
        packing = Packing(Facts)
        came = Unpacking(Facts, packing.blobs, trusted=True).unpack(packing.pack(value))
        if hasattr(value, "octets") and not is_dataclass(value):
            assert bytes(came.octets) == bytes(value.octets)
        else:
            assert came == value, name
        assert not packing.kept, name


def test_every_class_of_a_hooks_arguments_crosses() -> None:
    missing = set()
    seen: set[object] = set()

    def look(kind: object) -> None:
        if isinstance(kind, list) or kind in seen or kind in (CommandCall, ServerCall):  # which are made in the process
            return
        seen.add(kind)
        for inner in get_args(kind):
            look(inner)
        if isinstance(kind, type) and is_dataclass(kind) and not issubclass(kind, (Facts, Settings)):
            if kind not in values._FIELDS:
                missing.add(kind.__name__)
            for hint in get_type_hints(kind).values():
                look(hint)

    for hook in PLACES:
        for kind in argument_types(hook).values():
            look(kind)
        look(get_type_hints(getattr(hooks, hook))["return"])
    assert missing == set()


ANSWERS = [
    Finding("SEEN", "x", 0.5, None, "junk"),
    AddHeader("X-A", "b"),
    ReplacePart("1", "text/plain", b"\x00\xff"),
    Identity("a", "b@example.org", ("g",)),  # type: ignore[arg-type]
    ["a list", ("a tuple", {"of": 1.5}), None, True],
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: type(answer).__name__)
def test_an_answer_arrives_as_it_was(answer: object) -> None:
    packing = Packing(Facts)
    assert Unpacking(Facts, packing.blobs).unpack(packing.pack(answer)) == answer


def test_a_class_that_does_not_cross_is_known_by_its_name() -> None:
    packing = Packing(Facts)
    came = Unpacking(Facts, packing.blobs).unpack(packing.pack(object()))
    assert (type(came).__name__, isinstance(came, Foreign)) == ("object", True)
