"""RFC 6858: what is left of a header in UTF-8 for who reads ASCII only; another reader than ours, Python's, reads it."""

import email
import email.policy

from hypothesis import given
from hypothesis import strategies as st

from mailward.formats.surrogate import surrogate_header

LONG = "Grüße aus Zürich " * 12


def read(*lines: str) -> email.message.EmailMessage:
    written = surrogate_header("".join(f"{line}\r\n" for line in (*lines, "")).encode())
    assert written.isascii() and written.endswith(b"\r\n\r\n") and max(map(len, written.split(b"\r\n"))) <= 78
    found = email.message_from_bytes(written, policy=email.policy.default)
    assert not any(value.defects for value in found.values())
    return found


def test_what_people_read_stays() -> None:
    found = read(f"Subject: {LONG}", "Comments: schön", "From: Jürgen <j@example.net>", "Date: Mon, 2 Nov 2026 10:00:00 +0000")
    assert found["subject"] == LONG.strip()
    assert found["comments"] == "schön"
    assert str(found["from"].addresses[0]) == "Jürgen <j@example.net>"
    assert found["date"].datetime.year == 2026


def test_section_2_1_an_address_that_cannot_be_written_is_nobodys() -> None:
    found = read('To: "Wong, 王" <用户@example.net>, a@bücher.example, 用户@例子.example, Plain <p@example.net>')
    named = [(one.display_name, one.addr_spec) for one in found["to"].addresses]
    nobody = "invalid@internationalized-address.invalid"
    assert named == [
        ("Wong, 王", nobody),
        ("", "a@xn--bcher-kva.example"),
        ("用户@例子.example", nobody),
        ("Plain", "p@example.net"),
    ]


def test_section_2_2_parameters_keep_their_text_and_the_type_its_boundary() -> None:
    found = read('Content-Type: multipart/mixed; boundary="b c"; name="Überblick.txt"')
    assert (found.get_content_type(), found.get_boundary()) == ("multipart/mixed", "b c")
    assert found["content-type"].params["name"] == "Überblick.txt"


def test_section_2_4_what_has_no_such_form_is_left_out() -> None:
    assert read("Received: from bücher.example", "X-Über: x", "Subject: kept").keys() == ["Subject"]


def test_what_is_not_utf_8_or_is_ascii_already_stays_as_it_is() -> None:
    for block in (b"Subject: gr\xfc\xdfe\r\nFrom: a@example.net\r\n\r\n", b"Subject: x\r\n odd\r\nno field\r\n\r\n"):
        assert surrogate_header(block) == block


@given(
    st.lists(
        st.builds("{}: {}".format, st.sampled_from(["From", "To", "Subject", "Content-Type", "X-Y", ""]), st.text()), max_size=4
    )
)
def test_any_header_becomes_ascii_and_stays_one(lines: list[str]) -> None:
    block = "".join(f"{line}\r\n" for line in (*lines, "")).encode("utf-8", "surrogatepass")
    written = surrogate_header(block)
    try:
        block.decode()
    except UnicodeDecodeError:
        assert written == block
    else:
        assert written.isascii()
