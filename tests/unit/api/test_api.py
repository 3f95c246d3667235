"""The contract: what `mailward.api` offers, and that it works as its documentation says."""

import mailward.api
from mailward.api import Evidence, Facts, Finding, hookimpl
from mailward.api.hooks import HookOptions, options_of


def test_everything_promised_is_there_and_once() -> None:
    assert len(set(mailward.api.__all__)) == len(mailward.api.__all__)
    assert all(hasattr(mailward.api, name) for name in mailward.api.__all__)


def test_hookimpl_remembers_its_options_with_and_without_brackets() -> None:
    @hookimpl
    def plain() -> None: ...

    @hookimpl(needs=["spf"], after=["*"], inline=True)
    def full() -> None: ...

    @hookimpl(needs="spf", after="*")
    def single() -> None: ...

    assert options_of(plain) == HookOptions()
    assert options_of(single) == HookOptions(("spf",), ("*",))
    assert options_of(full) == HookOptions(("spf",), ("*",), inline=True)
    assert options_of(lambda: None) == HookOptions()


def test_evidence_answers_for_plugins_that_are_not_there() -> None:
    evidence = Evidence({"spf": Facts()}, (("spf", Finding(None, "x")),))
    assert (evidence.facts("dkim"), evidence.value("dkim", "result"), evidence.values("dkim", "domains")) == (None, "", ())
    assert evidence.value("spf", "absent") == ""
    assert evidence.auth_results() == ()
