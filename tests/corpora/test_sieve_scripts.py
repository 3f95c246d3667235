"""Pigeonhole's scripts, run by us and by a real Dovecot: where both take a script, both come to the same actions."""

import pytest

from mailward.sieve import ScriptError
from support.corpora import corpus_members
from support.sieve import SieveTest, run_script, sieve_test, told

WHY_NOT = {
    "extensions/vacation/execute/seconds.sieve": "Dovecot's settings say that nobody has a second reply within a day",
}
"""Of those that both take."""
MISTAKES = ("errors/", "included/")
"""What these hold is for others to include, or made to go wrong (`test_sieve_pigeonhole`)."""


def _alike(actions: tuple[str, ...]) -> list[str]:
    """INBOX is where a message is kept, once; flags have no order; of notifications `sieve-test` tells only that there are some."""
    found: list[str] = []
    for action in actions:
        word, *rest = action.split()
        if (word, *rest[:1]) == ("fileinto", "INBOX"):
            word, rest = "keep", rest[1:]
        alike = "notify" if "notif" in action else " ".join([word, *(sorted(rest) if word == "keep" else rest)])
        if alike not in found:
            found.append(alike)
    return found


def _of_dovecot(dovecots: SieveTest, script: str) -> tuple[str, ...] | None:
    """None where it does not take the script, or does not end well."""
    try:
        return dovecots.actions(script)
    except AssertionError:
        return None


def test_scripts_that_both_take_come_to_the_same() -> None:
    same, differing = 0, set[str]()
    with sieve_test() as dovecots:
        for name, octets in corpus_members("sieve", "pigeonhole-svtest.tar.xz").items():
            if not name.endswith(".sieve") or any(part in name for part in MISTAKES):
                continue
            script = octets.decode()
            try:
                outcome = run_script(script)
            except ScriptError:
                continue
            theirs = _of_dovecot(dovecots, script)
            if theirs is None or outcome.problem is not None:
                continue
            if _alike(theirs) == _alike(told(outcome)):
                same += 1
            else:
                differing.add(name)
    assert differing == set(WHY_NOT)
    assert same >= 36, same


@pytest.mark.parametrize(
    ("actions", "alike"),
    [
        (("fileinto INBOX.backup", "keep", "fileinto INBOX"), ["fileinto INBOX.backup", "keep"]),
        (("keep \\seen \\answered",), ["keep \\answered \\seen"]),
    ],
)
def test_what_counts_as_the_same(actions: tuple[str, ...], alike: list[str]) -> None:
    assert _alike(actions) == alike
