"""All that is wrong with a script is told, with its place and how to mend it."""

import pytest

from mailward.sieve import LANGUAGE, LIMITS, Limits, ScriptError, compile_script

WRONG = {
    "keep": ["1:5: missing semicolon ';' after the keep command"],
    "keep\nstop;": ["2:1: missing semicolon ';' after the keep command"],
    'fileinto "x";': ['1:1: the fileinto command needs require "fileinto" at the top'],
    'require ["fileint", "envelope"];': ["1:9: unknown extension 'fileint'; did you mean 'fileinto'?"],
    'keep; require "fileinto";': ["1:7: require may only stand at the top of the script, before every other command"],
    "kep;": ["1:1: unknown command 'kep'; did you mean 'keep'?"],
    "if keep {}": ["1:4: cannot use command 'keep' as a test"],
    "true;": ["1:1: cannot use test 'true' as a command"],
    "else {}": ["1:1: the else command has to follow an if or elsif command"],
    "if true;": ["1:1: the if command needs a block"],
    "stop {}": ["1:1: the stop command accepts no block"],
    "if true {": ["1:9: this '{' opens a block that no '}' closes"],
    "keep; }": ["1:7: this '}' closes no block"],
    'redirect "nobody";': ["1:10: the redirect command cannot send to 'nobody', which is not one address"],
    'if header :is :contains "a" "b" {}': ["1:15: unexpected ':contains' in the header test, which has ':is' already"],
    'if header :i "a" "b" {}': [
        "1:11: unknown tagged argument ':i' for the header test (its tags are :comparator, :is, :contains, :matches)"
    ],
    'if header "a" 1 {}': ["1:15: the header test expects a string list as argument 2 (key list), but a number was found"],
    'if header "a" {}': ["1:4: the header test requires 2 positional arguments, but 1 is specified"],
    'if header :comparator "i;x" "a" "b" {}': [
        "1:11: unknown comparator 'i;x'; there are i;ascii-casemap, i;ascii-numeric, i;octet, i;unicode-casemap"
    ],
    'if address "subject" "b" {}': ["1:12: the header 'subject' is not allowed for the address test: it holds no addresses"],
    "if size 1 {}": ["1:4: the size test needs :over or :under"],
    'keep "': ["1:6: this string has no closing quote"],
    "keep; /* x": ["1:7: this comment has no closing */"],
    "text:\nx": ["1:1: this text: has no end; a line with a single dot ends it"],
    "if size :over 1T {}": ["1:15: 'T' is no unit of a number; there are K, M and G"],
    "kep;\nif true { stp; }\nelsif {}\ndiscrd;": [
        "1:1: unknown command 'kep'; did you mean 'keep'?",
        "2:11: unknown command 'stp'; did you mean 'stop'?",
        "3:1: the elsif command requires one test, not none",
        "4:1: unknown command 'discrd'; did you mean 'discard'?",
    ],
    'kep;\nredirect [\nfileint "a";\ndiscrd;': [
        "1:1: unknown command 'kep'; did you mean 'keep'?",
        "3:1: expected a string in the list, but found 'fileint'",
        "4:1: unknown command 'discrd'; did you mean 'discard'?",
    ],
    'require ["fileinto" "copy"];\nfileinto :copy 3;': [
        "1:21: expected ',' or ']' in the list, but found a string",
        "2:16: the fileinto command expects a string as argument 1 (mailbox), but a number was found",
    ],
    'require ["fileinto", "copi";\nfileinto "a";\nkep;': [
        "1:1: unknown extension 'copi'; did you mean 'copy'?",
        "1:28: expected ',' or ']' in the list, but found ';'",
        "3:1: unknown command 'kep'; did you mean 'keep'?",
    ],
    'require "fileinto"\nkeep;\nfileinto "a";': ["2:1: missing semicolon ';' after the require command"],
    # What was not read may be the if that it follows, and the brace that sets require free.
    "if ( true { keep; }\nelse { stp; }": [
        "1:11: expected ',' or ')' in the list of tests, but found '{'",
        "2:8: unknown command 'stp'; did you mean 'stop'?",
    ],
    'if header "a" ["b" "c"] {\n  kep;\n  if true { stp; }\n} else {\n  discrd; }': [
        "1:20: expected ',' or ']' in the list, but found a string",
        "2:3: unknown command 'kep'; did you mean 'keep'?",
        "3:13: unknown command 'stp'; did you mean 'stop'?",
        "5:3: unknown command 'discrd'; did you mean 'discard'?",
    ],
    "if true { keep;\nelse { stp; }": [
        "1:9: this '{' opens a block that no '}' closes",
        "2:8: unknown command 'stp'; did you mean 'stop'?",
    ],
    # Which of the three quotes is one too many?
    'kep; redirect "a@example.org";\nfileinto a"; discrd;': ["2:11: this string has no closing quote"],
}


@pytest.mark.parametrize("script", WRONG)
def test_problems_are_all_told(script: str) -> None:
    with pytest.raises(ScriptError) as caught:
        compile_script(script.encode(), LANGUAGE)
    assert [str(problem) for problem in caught.value.problems] == WRONG[script]


@pytest.mark.parametrize(
    ("octets", "problem"),
    [
        (b"keep;\n\xff", "2:1: the octet 0xFF is no UTF-8"),
        (b"keep;\n#\0", "2:2: the script holds a NUL"),
        ("keep;\u00a0".encode(), "1:6: the character U+00A0 stands outside of a string"),
    ],
)
def test_octets_that_are_no_script(octets: bytes, problem: str) -> None:
    with pytest.raises(ScriptError) as caught:
        compile_script(octets, LANGUAGE, name="mine")
    assert str(caught.value.problems[0]) == f"mine:{problem}"


def test_a_byte_order_mark_is_passed_over() -> None:
    assert compile_script(b"\xef\xbb\xbfkeep;", LANGUAGE).steps


def test_t_imap_20_blocks_of_commands_that_cannot_be_read_are_nested_as_deep_as_others() -> None:
    """What cannot be read any deeper is passed over, and what stands behind it is read."""
    script = "if true { " * (LIMITS.nesting - 2) + "if ( { kep; " * 40_000 + "}" * (40_000 + LIMITS.nesting - 2) + " discrd;"
    with pytest.raises(ScriptError) as caught:
        compile_script(script.encode(), LANGUAGE, Limits(script_octets=1 << 20))
    unknown = [problem.text[:21] for problem in caught.value.problems if "unknown" in problem.text]
    assert unknown == ["unknown command 'kep'", "unknown command 'kep'", "unknown command 'disc"]
    assert len(caught.value.problems) == 3 + len(unknown)
