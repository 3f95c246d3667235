"""What a run asks of the world: scripts, marks, mailboxes."""

from dataclasses import dataclass, field, replace

import pytest

from mailward.formats.message import MessageView
from mailward.sieve import LANGUAGE, LIMITS, Outcome, compile_script, evaluate
from mailward.sieve.actions import FileInto
from mailward.sieve.world import Location, Nothing
from support.sieve import MESSAGE, WORLD, told


@dataclass(frozen=True)
class _World(Nothing):
    scripts: dict[str, str] = field(default_factory=dict)
    marks: frozenset[str] = frozenset()

    def script(self, location: Location, name: str) -> bytes | None:
        return self.scripts[name].encode() if location == "personal" and name in self.scripts else None

    def is_marked(self, key: str) -> bool:
        return key in self.marks

    def mailbox_with_use(self, use: str) -> str | None:
        return "Spam" if use.lower() == "\\junk" else None


def _run(script: str, **given: str) -> Outcome:
    outside = _World(scripts={name.replace("_", "-"): text for name, text in given.items()})
    return evaluate(compile_script(script.encode(), LANGUAGE), MessageView(MESSAGE), replace(WORLD, outside=outside))


def _problem(outcome: Outcome) -> str:
    assert told(outcome) == ("keep",)
    assert outcome.problem is not None
    return str(outcome.problem)


def test_an_included_script_acts_and_returns() -> None:
    inner = 'require ["fileinto", "include"]; fileinto "A"; return; fileinto "B";'
    assert told(_run('require "include"; include "inner"; redirect "a@example.com";', inner=inner)) == (
        "fileinto A",
        "redirect a@example.com",
    )


def test_stop_in_an_included_script_ends_all() -> None:
    assert told(_run('require "include"; include "inner"; discard;', inner="stop;")) == ("keep",)


def test_globals_are_shared_and_others_are_not() -> None:
    inner = 'require ["include", "variables"]; global "a"; set "a" "x"; set "b" "x";'
    script = 'require ["include", "variables", "fileinto"]; global "a"; include "inner"; fileinto "A${a}${b}${global.a}";'
    assert told(_run(script, inner=inner)) == ("fileinto Axx",)


def test_scripts_that_include_themselves_keep_the_message_t_imap_20() -> None:
    inner = 'require "include"; include "other";'
    problem = _problem(_run('require "include"; include "inner";', inner=inner, other='require "include"; include "inner";'))
    assert problem == "other:1:20: the script 'inner' includes itself"


def test_a_deep_chain_of_scripts_ends_t_imap_20() -> None:
    scripts = {f"s{number}": f'require "include"; include "s{number + 1}";' for number in range(LIMITS.includes + 2)}
    assert "deeper than 10" in _problem(_run('require "include"; include "s0";', **scripts))


def test_scripts_that_include_two_each_end_t_imap_20() -> None:
    scripts = {f"s{number}": f'require "include"; include "s{number + 1}"; include "s{number + 1}";' for number in range(9)}
    assert "more than 255" in _problem(_run('require "include"; include "s0";', **scripts, s9="keep;"))


def test_an_included_script_that_is_not_there_or_wrong() -> None:
    assert _problem(_run('require "include"; include "no";')) == "1:20: there is no personal script 'no' to include"
    assert "inner:1:1: unknown command 'kep'" in _problem(_run('require "include"; include "inner";', inner="kep;"))
    assert told(_run('require "include"; include :optional "no"; discard;')) == ()


def test_a_duplicate_is_what_an_earlier_run_has_marked() -> None:
    script = compile_script(b'require "duplicate"; if duplicate :handle "a" :seconds 60 { discard; }', LANGUAGE)
    first = evaluate(script, MessageView(MESSAGE), replace(WORLD, outside=_World()))
    assert told(first) == ("keep",) and [mark.period_s for mark in first.marks] == [60]
    again = replace(WORLD, outside=_World(marks=frozenset(mark.key for mark in first.marks)))
    assert told(evaluate(script, MessageView(MESSAGE), again)) == ()


def test_a_special_use_leads_to_its_mailbox() -> None:
    assert told(_run('require ["fileinto", "special-use"]; fileinto :specialuse "\\\\Junk" "Junk";')) == ("fileinto Spam",)
    script = 'require ["fileinto", "special-use", "mailbox"]; fileinto :create :specialuse "\\\\Archive" "Old";'
    action = _run(script).actions[0]
    assert isinstance(action, FileInto) and (action.mailbox, action.creates, action.special_use) == ("Old", True, "\\Archive")


def test_environment_spam_and_viruses() -> None:
    world = replace(WORLD, environment={"name": "Mailward"}, spam_percent=50.0, virus=5)
    script = (
        b'require ["environment", "spamtest", "spamtestplus", "virustest"];'
        b' if allof (environment "NAME" "mailward", spamtest "5", spamtest :percent "50", virustest "5",'
        b' not environment :contains "no" "") { discard; }'
    )
    assert told(evaluate(compile_script(script, LANGUAGE), MessageView(MESSAGE), world)) == ()


@pytest.mark.parametrize(
    ("percent", "value", "shown"),
    [
        (None, "0", "0"),
        (0.0, "1", "0"),
        (11.0, "1", "11"),
        (100 / 3, "4", "33"),
        (99.0, "9", "99"),
        (100.0, "10", "100"),
    ],
)
def test_ten_is_surely_spam_and_nothing_less_is(percent: float | None, value: str, shown: str) -> None:
    """RFC 5235 section 2.1: 10 is for a message that definitely contains spam, 2 to 9 for what lies between."""
    script = f'require ["spamtestplus"]; if allof (spamtest "{value}", spamtest :percent "{shown}") {{ discard; }}'
    world = replace(WORLD, spam_percent=percent)
    assert told(evaluate(compile_script(script.encode(), LANGUAGE), MessageView(MESSAGE), world)) == ()
