"""`mailward message inspect` lists what scanners are given."""

from mailward.cli.inspection import report_as_json, report_as_text
from mailward.formats.message import MessageView

TWO_WAYS = (
    b"From: a@example.net\r\nContent-Type: application/octet-stream; name=a.exe\r\n"
    b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8gd29ybGQ=\r\n"
)


def test_the_declared_reading_and_its_rival_are_listed() -> None:
    text = report_as_text(MessageView(TWO_WAYS))
    assert "the message itself: as it stands, application/octet-stream, a.exe\n" in text
    assert "the message itself: as base64, application/octet-stream, a.exe; another reader may show this instead" in text


def test_programs_get_the_same() -> None:
    found = report_as_json(MessageView(TWO_WAYS))
    first, second = found["readings"][:2]
    assert first["is_declared"] and not first["is_rival"] and second["is_rival"] and second["how"] == "as base64"
    assert found["readings_cut"] is False


def test_a_field_behind_very_many_is_shown() -> None:
    view = MessageView(b"X: y\r\n" * 150 + b"From: a@b.example\r\n\r\n")
    assert "  From: a@b.example" in report_as_text(view).splitlines()
