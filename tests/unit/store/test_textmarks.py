"""What the marks of texts promise: "no" is true, and nothing that befalls their file hurts."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailward.store import textmarks
from mailward.store.textmarks import TextMarks

WORDS = st.text(st.sampled_from("abcÄ漢\ud800 "), max_size=12)


@given(st.lists(st.lists(WORDS, max_size=4), min_size=1, max_size=6), WORDS)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_is_true(tmp_path: Path, messages: list[list[str]], wanted: str) -> None:
    marks = TextMarks(tmp_path / "search.sqlite", _nothing)
    marks.add(dict(enumerate(messages)))
    for texts, may_hold in zip(messages, marks.may_hold(range(len(messages)), wanted), strict=True):
        assert may_hold is not None
        assert may_hold or not any(wanted in text for text in texts)
    marks.close()


@given(st.lists(st.text(max_size=9), max_size=4), st.integers(1, 5))
@settings(deadline=None)
def test_a_text_has_the_same_marks_in_pieces_and_whole(texts: list[str], piece: int) -> None:
    whole = textmarks._filter(texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(textmarks, "_PIECE_CHARACTERS", piece)
        assert textmarks._filter(texts) == whole


def test_t_dos_07_of_a_text_with_any_number_of_groups_few_are_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = TextMarks(tmp_path / "search.sqlite", _nothing)
    most, put = list[int](), textmarks._put

    def noted(groups: set[tuple[int, int, int]], bits: bytearray) -> None:
        most.append(len(groups))
        put(groups, bits)

    monkeypatch.setattr(textmarks, "_put", noted)
    number = 1
    text = "".join(chr(32 + (number := number * 48271 % 0x7FFFFFFF) % 90) for _ in range(400_000))
    marks.add({1: [text]})
    assert sum(most) > 200_000 and max(most) < 90_000
    assert marks.may_hold([1], text[70_000:70_100]) == [True]
    marks.close()


def test_what_is_begun_is_not_known_until_it_ends(tmp_path: Path) -> None:
    marks = TextMarks(tmp_path / "search.sqlite", _four)
    marks.add({1: ["apples"]})
    for message in (1, 3, 2):
        marks.begin(message)
    assert (marks.begun(), marks.unmarked()) == ([2, 3], [4])
    assert marks.may_hold([1, 2, 3], "pears") == [False, None, None]
    marks.add({2: ["pears"], 3: None})
    assert marks.begun() == [] and marks.may_hold([2, 3], "pears") == [True, True]
    marks.close()


def test_most_messages_need_not_be_read(tmp_path: Path) -> None:
    marks = TextMarks(tmp_path / "search.sqlite", _nothing)
    marks.add({n: [" ".join(f"word{n * 977 + k * 131:x}" for k in range(400))] for n in range(50)})
    assert sum(map(bool, marks.may_hold(range(50), "LIGHTHOUSE"))) == 0
    found = marks.may_hold(range(50), f"word{7 * 977 + 131:x} ")
    assert found[7]
    assert sum(map(bool, found)) < 10


def test_order_repetition_and_what_is_not_known(tmp_path: Path) -> None:
    marks = TextMarks(tmp_path / "search.sqlite", _nothing)
    marks.add({5: ["apples"], 6: [], 7: ["x" * 2_000_000]})
    assert marks.may_hold([9, 7, 6, 5, 5, 7], "apples") == [None, True, False, True, True, True]
    assert marks.may_hold([5, 6], "ap") == [True, True]  # too short to tell
    marks.add({5: ["pears"]})
    assert marks.may_hold([5], "apples") == [False]
    marks.keep_only([6])
    assert marks.may_hold([5, 6], "apples") == [None, False]


@pytest.mark.parametrize("damage", [b"no database at all" * 100, b"", None])
def test_a_damaged_file_is_begun_anew(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "search.sqlite"
    marks = TextMarks(path, _nothing)
    marks.add({n: [f"apples {n}" * 50] for n in range(200)})
    marks.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\x55" * (len(whole) - 4096) if damage is None else damage)
    assert all(may_hold is not False for may_hold in marks.may_hold(range(200), "apples"))
    marks.add({1: ["apples"], 2: ["pears"]})
    marks.add({1: ["apples"], 2: ["pears"]})
    assert marks.may_hold([1, 2], "apples") == [True, False]


def test_a_file_of_another_form_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "search.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    marks = TextMarks(path, _nothing)
    assert marks.may_hold([1], "apples") == [None]
    marks.add({1: ["apples"]})
    assert marks.may_hold([1], "apples") == [True]


def test_a_place_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "search.sqlite").mkdir()
    marks = TextMarks(tmp_path / "search.sqlite", _nothing)
    marks.add({1: ["apples"]})
    assert marks.may_hold([1], "apples") == [None]
    assert marks.begun() == ()
    marks.keep_only([])


def _nothing(after: int) -> list[int]:
    return []


def _four(after: int) -> list[int]:
    return [4, 3, 2, 1]
