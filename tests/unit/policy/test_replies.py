"""`replies:` of a policy: the admin's words for the server's own replies."""

from pathlib import Path

import pytest

from mailward.model.errors import PolicyError
from mailward.model.replies import ACCEPTED, MESSAGE_TOO_BIG, PATH_SYNTAX, UNKNOWN_RECIPIENT
from mailward.policy import load_policy
from mailward.policy.ruling import accepted, with_id
from support.small_plugins import PLUGINS, STAGES


def texts(folder: Path, *lines: str) -> dict[str, str]:
    path = folder / "inbound.yaml"
    path.write_text("version: 1\nreplies:\n" + "".join(f"  {line}\n" for line in lines))
    return dict(load_policy(path, PLUGINS, stages=STAGES, shown_as="inbound.yaml").replies)


def test_words_take_the_place_of_the_text_and_of_nothing_else(tmp_path: Path) -> None:
    words = texts(tmp_path, 'unknown_recipient: "Nobody here by that name"', 'path_syntax: "Say {syntax}, please: {syntax}"')
    assert UNKNOWN_RECIPIENT.worded(words).to_octets() == b"550 5.1.1 Nobody here by that name\r\n"
    assert PATH_SYNTAX.filled(syntax="RCPT TO:<address>").worded(words).lines == (
        "Say RCPT TO:<address>, please: RCPT TO:<address>",
    )
    assert MESSAGE_TOO_BIG.worded(words) is MESSAGE_TOO_BIG
    assert str(with_id(UNKNOWN_RECIPIENT, "1k1", words)) == "550 5.1.1 Nobody here by that name (id 1k1)"


def test_the_id_stands_behind_an_acceptance_in_other_words(tmp_path: Path) -> None:
    assert str(accepted("1k1", texts(tmp_path, "accepted: Thank you"))) == "250 2.0.0 Thank you, id 1k1"
    assert str(accepted("", {})) == str(ACCEPTED)


def test_what_strangers_send_is_filled_in_and_never_read(tmp_path: Path) -> None:
    words = texts(tmp_path, 'path_syntax: "Not {syntax}"')
    for evil in ("{syntax}", "{0.__class__}", "%s", "{"):
        assert PATH_SYNTAX.filled(syntax=evil).worded(words).lines == (f"Not {evil}",)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("unknown_recipiant: x", "inbound.yaml:3:3  replies.unknown_recipiant: no reply is called 'unknown_recipiant'"),
        ('accepted: ""', "inbound.yaml:3:13  replies.accepted: printable ASCII on one line was expected"),
        ('accepted: "caf\u00e9"', "inbound.yaml:3:13  replies.accepted: printable ASCII on one line was expected"),
        ('accepted: "a\\nb"', "inbound.yaml:3:13  replies.accepted: printable ASCII on one line was expected"),
        (f'accepted: "{"x" * 401}"', "inbound.yaml:3:13  replies.accepted: the text has 401 characters"),
        ('accepted: "250 Thank you"', "inbound.yaml:3:13  replies.accepted: the code stays the server's; write the text alone"),
        ('accepted: "2.0.0 Thank you"', "inbound.yaml:3:13  replies.accepted: the code stays the server's; write the text alone"),
        ('accepted: "{id}"', "inbound.yaml:3:13  replies.accepted: this reply fills in no braces"),
        (
            'path_syntax: "{syntax.__class__}"',
            "inbound.yaml:3:16  replies.path_syntax: braces may only hold what this reply fills in: {syntax}",
        ),
        (
            'path_syntax: "{syntax!r}"',
            "inbound.yaml:3:16  replies.path_syntax: braces may only hold what this reply fills in: {syntax}",
        ),
        (
            'path_syntax: "{syntax"',
            "inbound.yaml:3:16  replies.path_syntax: braces may only hold what this reply fills in: {syntax}",
        ),
        ("accepted: [x]", "inbound.yaml:3:13  replies.accepted: text was expected"),
    ],
)
def test_t_plug_09_what_cannot_be_said_is_refused_in_its_place(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(PolicyError) as refused:
        texts(tmp_path, line)
    assert said in str(refused.value)
