"""Tests of externally stored lists; scripts are those of RFC 6134 where it has one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from mailward.sieve import LANGUAGE, LIMITS, Limits, Outcome, ScriptError, compile_script
from mailward.sieve.lists import list_name
from mailward.sieve.world import Nothing
from support.sieve import MESSAGE, WORLD, run_script, told

REQUIRE = 'require ["extlists", "envelope", "variables", "date", "fileinto", "copy"];'
BOOK = "urn:ietf:params:sieve:addrbook:default"


@dataclass(frozen=True)
class _Lists(Nothing):
    at: datetime = datetime(2011, 12, 26, tzinfo=UTC)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def has_list(self, name: str) -> bool:
        return name in self.lists

    def first_listed(self, names: Sequence[str], values: Sequence[str]) -> str | None:
        self.asked.append((*values,))
        return next((value for value in values if any(value in self.lists[name] for name in names)), None)

    def listed_addresses(self, name: str, most: int) -> tuple[str, ...] | None:
        return self.lists[name][:most] if "@" in "".join(self.lists[name]) or not self.lists[name] else None


LISTS = {
    BOOK: ("sender@example.net", "one@example.com"),
    "tag:example.com,2010-05-28:mylist": ("a@example.com", "b@example.com"),
    "tag:example.com,2011-01-01:localHolidays": ("2011-12-26",),
    "tag:example.com,2011-04-10:DisallowedIPs": ("192.0.2.1",),
    "tag:example.com,2011:nobody": (),
    "tag:example.com,2011:many": tuple(f"{number}@example.com" for number in range(5)),
}


def _run(script: str, limits: Limits = LIMITS) -> Outcome:
    return run_script(REQUIRE + script, MESSAGE, replace(WORLD, outside=_Lists(lists=LISTS)), limits)


@pytest.mark.parametrize(
    ("test", "holds"),
    [
        ('envelope :list "from" ":addrbook:default"', True),
        (f'envelope :list "from" "{BOOK.upper()}"', True),
        ('envelope :list "to" ":addrbook:default"', False),
        ('address :list ["cc", "to"] ["tag:example.com,2011:nobody", ":addrbook:default"]', True),
        ('address :localpart :list "to" ":addrbook:default"', False),
        ('currentdate :zone "+0000" :list "date" "tag:example.com,2011-01-01:localHolidays"', True),
        ('string :list "192.0.2.1" "tag:example.com,2011-04-10:DisallowedIPs"', True),
        ('string :list ["", "192.0.2.2"] "TAG:example.com,2011-04-10:DisallowedIPs"', False),
        ('valid_ext_list [":addrbook:default", "tag:example.com,2011:nobody"]', True),
        ('valid_ext_list [":addrbook:default", ":addrbook:other"]', False),
        ('valid_ext_list "tag:example.com,2011-04-10:disallowedips"', False),
        ('valid_ext_list "addrbook"', False),
    ],
)
def test_a_value_is_on_a_list(test: str, holds: bool) -> None:
    outcome = _run(f"if {test} {{ discard; }}")
    assert outcome.problem is None and told(outcome) == (() if holds else ("keep",))


def test_what_was_found_is_the_match_value() -> None:
    assert told(_run('if address :list "to" ":addrbook:default" { fileinto "${0}"; }')) == ("fileinto one@example.com",)


def test_a_message_goes_to_everybody_on_a_list() -> None:
    everybody = ("redirect a@example.com", "redirect b@example.com")
    assert told(_run('redirect :list "tag:example.com,2010-05-28:mylist";')) == everybody
    assert told(_run('redirect :copy :list "tag:example.com,2010-05-28:mylist";')) == (*everybody, "keep")


def test_a_message_for_nobody_stays() -> None:
    assert told(_run('redirect :list "tag:example.com,2011:nobody";')) == ("keep",)


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ('redirect :list "tag:example.com,2011:many";', "the number of redirect actions exceeds policy limit (4)"),
        (
            'redirect :list "tag:example.com,2011-01-01:localHolidays";',
            "the list 'tag:example.com,2011-01-01:localHolidays' has no addresses on it",
        ),
        ('redirect :list ":addrbook:other";', "there is no list ':addrbook:other'"),
        ('if address :list "from" ":addrbook:other" { discard; }', "there is no list ':addrbook:other'"),
        ('set "a" "x"; if address :list "from" "${a}" { discard; }', "there is no list 'x'"),
    ],
)
def test_t_imap_20_a_list_that_cannot_be_used_keeps_the_message_and_is_told(command: str, problem: str) -> None:
    outcome = _run(command)
    assert outcome.problem is not None and outcome.problem.text == problem and told(outcome) == ("keep",)


def test_t_imap_20_questions_are_counted() -> None:
    for values in ("abcdefghijklmnopqrst", "ab"):  # the lookups, however short the values are, and the questions
        script = "".join(f'if string :list [{", ".join(map(repr, values))}] ":addrbook:default" {{ discard; }}' for _ in range(4))
        outcome = _run(script.replace("'", '"'), Limits(characters=75_000))
        assert outcome.problem is not None and "looks through more than" in outcome.problem.text


def test_t_imap_20_a_value_is_looked_up_once_and_many_together() -> None:
    everybody = b", ".join(b"%d@x.example" % (number % 700) for number in range(1400))
    message = b"To: %b\r\nCc: %b\r\n\r\n" % (everybody, everybody)
    outside = _Lists(lists=LISTS)
    asked = 'address :list ["to", "cc"] [":addrbook:default", ":addrbook:default", "tag:example.com,2011:nobody"]'
    outcome = run_script(f"{REQUIRE} if {asked} {{ discard; }}", message, replace(WORLD, outside=outside))
    assert outcome.problem is None
    assert [value for values in outside.asked for value in values] == [f"{number}@x.example" for number in range(700)]
    assert len(outside.asked) == 2


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ('if address :list "from" "partners" {}', "'partners' names no list"),
        ('redirect :list "a@example.org";', "'a@example.org' names no list"),
        ('if address :list :comparator "i;octet" "from" ":a" {}', "a comparator cannot be used with :list"),
    ],
)
def test_what_can_never_be_a_list_is_told_when_the_script_is_read(script: str, problem: str) -> None:
    with pytest.raises(ScriptError) as caught:
        compile_script((REQUIRE + script).encode(), LANGUAGE)
    (told,) = caught.value.problems
    assert told.text.startswith(problem)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (":addrbook:default", BOOK),
        ("URN:ietf:params:Sieve:addrbook:default", BOOK),
        ("TAG:example.org,2026:Partners", "tag:example.org,2026:Partners"),
        (":", "urn:ietf:params:sieve:"),
        ("tag:", None),
        ("tag:a b", None),
        ("http://example.org/list", None),
        ("", None),
    ],
)
def test_one_list_has_one_name(text: str, name: str | None) -> None:
    assert list_name(text) == name
