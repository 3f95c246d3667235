"""Messages that a script has changed: replace and enclose (RFC 5703 sections 5 and 6)."""

from mailward.formats.message import MessageView
from mailward.sieve.actions import Keep
from support.sieve import MESSAGE, run_script

_REQUIRE = 'require ["foreverypart", "mime", "replace", "enclose", "variables", "encoded-character"];'


def _kept(script: str, message: bytes = MESSAGE) -> MessageView:
    outcome = run_script(f"{_REQUIRE} {script}", message)
    assert outcome.problem is None
    action = outcome.actions[-1]
    assert isinstance(action, Keep) and action.message is not None
    return action.message


def test_a_part_is_replaced() -> None:
    here = 'header :mime :contenttype "content-type" "application/pdf"'
    kept = _kept(f'foreverypart {{ if {here} {{ replace "gone: \u00fc"; }} }}')
    assert [part.content_type for part in kept.parts()] == ["multipart/mixed", "text/plain", "text/html", "text/plain"]
    assert list(kept.parts())[3].text.strip() == "gone: \u00fc"
    assert kept.subject == MessageView(MESSAGE).subject


def test_every_part_is_replaced_though_the_first_holds_them_all() -> None:
    assert [text.text.strip() for text in _kept('foreverypart { replace "gone"; }').texts()] == ["gone"]


def test_the_message_is_replaced_and_tells_what_it_was() -> None:
    kept = _kept('replace :subject "new" :from "Robot <robot@example.org>" "text";')
    assert (kept.subject, str(kept.authors[0].address)) == ("new", "robot@example.org")
    assert [text.text.strip() for text in kept.texts()] == ["text"]
    assert kept.all("Original-Subject")[0].text == MessageView(MESSAGE).subject
    assert kept.anomalies == ()


def test_a_replacement_with_a_type_of_its_own() -> None:
    kept = _kept("replace :mime text:\nContent-Type: text/html\n\n<p>x</p>\n.\n;")
    assert (kept.root.content_type, kept.root.text) == ("text/html", "<p>x</p>\r\n")


def test_a_multipart_is_no_replacement() -> None:
    outcome = run_script(f"{_REQUIRE} replace :mime text:\nContent-Type: multipart/mixed; boundary=a\n\nx\n.\n;")
    assert outcome.problem is not None and "cannot be replaced" in outcome.problem.text


def test_the_message_is_enclosed() -> None:
    kept = _kept('enclose :subject "A warning" :headers ["X-Checked: yes"] "Look out";')
    assert [part.content_type for part in kept.parts()][:4] == [
        "multipart/mixed",
        "text/plain",
        "message/rfc822",
        "multipart/mixed",
    ]
    assert list(kept.parts())[2].body_octets == MESSAGE
    assert (kept.subject, kept.all("X-Checked")[0].text, len(kept.all("Subject"))) == ("A warning", "yes", 1)
    assert kept.authors == MessageView(MESSAGE).authors
    assert kept.anomalies == ()


def test_no_text_adds_a_field_t_imap_20() -> None:
    kept = _kept('enclose :subject "a${hex:0d 0a}Bcc: b@example.com" :headers "X-A: b${hex:0d 0a 0d 0a}c" "Look out";')
    assert kept.field("Bcc") is None
    assert kept.all("X-A")[0].text == "b c"
