"""Hostile scripts stay within their limits, and what they do is to keep the message (T-IMAP-20)."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from mailward.sieve import LANGUAGE, LIMITS, ScriptError, check, compile_script
from mailward.sieve.actions import Keep
from support.sieve import MESSAGE, run_script, told


def _problems(script: str | bytes) -> list[str]:
    with pytest.raises(ScriptError) as caught:
        compile_script(script.encode() if isinstance(script, str) else script, LANGUAGE)
    return [str(problem) for problem in caught.value.problems]


def test_nested_blocks_end_at_the_limit_t_imap_20() -> None:
    assert _problems("if true {" * 10_000 + "}" * 10_000) == ["1:292: blocks and tests are nested deeper than 32"]


def test_nested_tests_end_at_the_limit_t_imap_20() -> None:
    assert _problems("if " + "not " * 50_000 + "true {}") == ["1:132: blocks and tests are nested deeper than 32"]
    assert _problems("if " + "anyof(" * 30_000 + "true" + ")" * 30_000 + "{}")[0].endswith("nested deeper than 32")


def test_the_nesting_that_rfc_5228_section_2_10_5_asks_for_is_there() -> None:
    compile_script(("if anyof(" + "not " * 14 + "true) {" + "if true {" * 15 + "}" * 16).encode(), LANGUAGE)


def test_a_huge_script_is_refused_unread_t_imap_20() -> None:
    assert _problems("#" * (LIMITS.script_octets + 1)) == [f"1:1: the script is larger than {LIMITS.script_octets} octets"]


@pytest.mark.parametrize("script", ["kepe;" * 20_000, "require [" + ",".join(f'"x{n}"' for n in range(20_000)) + "];"])
def test_nothing_is_looked_for_behind_the_last_problem_that_is_told_t_imap_20(
    script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_for: list[str] = []

    def near(name: str, known: Iterable[str]) -> str:
        looked_for.append(name)
        return ""

    monkeypatch.setattr(check, "_near", near)
    assert len(_problems(script)) == 50
    assert len(looked_for) <= 51


def test_five_redirects_keep_the_message_and_send_nothing_t_imap_20() -> None:
    outcome = run_script("".join(f'redirect "a{number}@example.com";' for number in range(5)))
    assert told(outcome) == ("keep",)
    assert outcome.problem is not None
    assert outcome.problem.text == "the number of redirect actions exceeds policy limit (4)"


@pytest.mark.parametrize("name", ["../x", "a/../b", "a//b", "/a", b"a\\r\\nb".decode("unicode_escape"), "", "a\x7f"])
def test_fileinto_refuses_names_that_are_no_names_t_imap_20(name: str) -> None:
    assert "folder name" in _problems(f'require "fileinto"; fileinto "{name}";')[0]
    outcome = run_script(f'require ["fileinto", "variables"]; set "a" "{name}"; fileinto "${{a}}";')
    assert told(outcome) == ("keep",)
    assert outcome.problem is not None


def test_steps_are_counted_t_imap_20() -> None:
    outcome = run_script("if true {}" * 60, limits=replace(LIMITS, steps=100))
    assert outcome.problem is not None and outcome.problem.text == "the script takes more than 100 steps"
    assert told(outcome) == ("keep",)


def test_variables_that_double_are_cut_and_end_the_script_t_imap_20() -> None:
    doubling = 'set "a" "${a}${a}";' * 10_000
    outcome = run_script(f'require "variables"; set "a" "0123456789"; {doubling} discard;')
    assert outcome.problem is not None and "characters of text" in outcome.problem.text
    assert told(outcome) == ("keep",)


def test_patterns_of_wildcards_are_no_work_t_imap_20() -> None:
    key, value = "*a" * 1000 + "b", "a" * 10_000
    test = f'if string :matches "{value}" "{key}" {{ discard; }}'
    assert told(run_script(f'require "variables"; {test}')) == ("keep",)
    looked = run_script(f'require "variables"; {test * 20}', limits=replace(LIMITS, characters=10_000_000))
    assert looked.problem is not None and "looks through" in looked.problem.text


def test_an_expression_with_many_states_is_paid_for_t_imap_20_t_dos_09() -> None:
    expression = "(" + "|".join(f"(A{'B' * number})" for number in range(60)) + ")+$"
    test = f'if string :regex "{"AB" * 20_000}@" "{expression}" {{ discard; }}'
    outcome = run_script(f'require ["variables", "regex"]; {test * 5}', limits=replace(LIMITS, characters=1_000_000))
    assert outcome.problem is not None and "looks through" in outcome.problem.text


def test_a_header_field_that_is_added_stays_one_field_t_imap_20() -> None:
    script = (
        'require ["editheader", "encoded-character"]; addheader "X-A" "b${hex:0d 0a}Bcc: c@example.com${hex:0d 0a 0d 0a}d"; keep;'
    )
    action = run_script(script).actions[0]
    assert isinstance(action, Keep) and action.message is not None
    assert [field.text for field in action.message.all("X-A")] == ["b Bcc: c@example.com d"]
    assert action.message.field("Bcc") is None
    assert bytes(action.message.octets).endswith(MESSAGE)


def test_trace_fields_are_neither_added_nor_deleted_t_imap_20() -> None:
    message = b"Received: a\r\nAuto-Submitted: auto-replied\r\n\r\n"
    script = 'require "editheader"; deleteheader "received"; deleteheader "auto-submitted"; addheader "Received" "b"; keep;'
    action = run_script(script, message).actions[0]
    assert isinstance(action, Keep) and action.message is None


MANY = ", ".join('""' for _ in range(20))


@pytest.mark.parametrize(
    "test",
    [
        f'header ["x-number", "x-number"] [{MANY}]',
        f'header :value "gt" ["x-number", "x-number"] [{MANY}]',
        "exists [" + ", ".join(['"from"'] * 20) + "]",
        'address "to" "nobody"',
        'header :mime :anychild "x-no" ""',
        'date "date" "year" "1999"',
        'hasflag "nothing"',
    ],
)
def test_short_texts_are_counted_too_t_imap_20(test: str) -> None:
    """Nothing is free that is done again and again."""
    extensions = 'require ["relational", "mime", "date", "imap4flags"];'
    outcome = run_script(f"{extensions} {f'if {test} {{}}' * 20}", limits=replace(LIMITS, characters=200))
    assert outcome.problem is not None and "looks through" in outcome.problem.text


def test_processor_time_ends_a_script_whatever_was_counted_t_imap_20() -> None:
    outcome = run_script("keep;", limits=replace(LIMITS, processor_s=-1.0))
    assert outcome.problem is not None and "processor time" in outcome.problem.text
    assert told(outcome) == told(run_script("keep;"))


def test_one_run_has_few_messages_remembered_t_imap_20() -> None:
    tests = "".join(f'if duplicate :uniqueid "{n}" {{}}' for n in range(40))
    outcome = run_script(f'require "duplicate"; {tests}')
    assert outcome.problem is not None and outcome.marks == ()
    assert len(run_script(f'require "duplicate"; {"".join(tests[: tests.index("}") + 1])}').marks) == 1


def test_what_the_owner_is_told_is_short_t_imap_20() -> None:
    outcome = run_script(f'require ["ihave", "variables"]; set "x" "{"y" * 60_000}"; error "${{x}}${{x}}";')
    assert outcome.problem is not None and len(outcome.problem.text) <= 501


def test_long_patterns_of_wildcards_are_a_mistake_t_imap_20() -> None:
    outcome = run_script(f'if header :matches "subject" "{"?" * 5000}" {{ discard; }}')
    assert outcome.problem is not None and "wildcards" in outcome.problem.text


def test_methods_that_ask_for_long_are_counted_t_imap_20() -> None:
    method = "mailto:?" + "&".join("to=" + "," * 1990 for _ in range(10))
    tests = f'if valid_notify_method "{method}" {{}}' * 10
    outcome = run_script(f'require "enotify"; {tests}', limits=replace(LIMITS, characters=1_000_000))
    assert outcome.problem is not None and "characters" in outcome.problem.text


@pytest.mark.parametrize(
    ("test", "text"),
    [
        (f'string :matches "${{x}}" "*{"?" * 50}b*"', "a" * 60_000),
        ('string :comparator "i;unicode-casemap" "${x}" "b"', "ä" * 60_000),
    ],
)
def test_what_is_dear_is_paid_for_t_imap_20(test: str, text: str) -> None:
    script = f'require "variables"; set "x" "{text}"; {f"if {test} {{}}" * 5}'
    assert run_script(script).problem is None
    outcome = run_script(script, limits=replace(LIMITS, characters=1_000_000))
    assert outcome.problem is not None and "looks through" in outcome.problem.text
