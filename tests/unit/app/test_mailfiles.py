"""Files, folders, mbox files and Maildirs give their messages as octets; Python's own mailbox module is the other opinion."""

import mailbox
import os
from pathlib import Path

import pytest

from mailward.app.mailfiles import MailFile, MailReader, files_in, messages_in

MOST = 1_000_000


def mail(number: int, body: str = "text") -> bytes:
    return f"From: a@example.net\nSubject: {number}\n\n{body}\n".encode()


def crlf(octets: bytes) -> bytes:
    return octets.replace(b"\n", b"\r\n")


def read(*paths: Path) -> list[MailFile]:
    return [message for file in files_in(paths) for message in messages_in(file, MOST)]


def octets_of(*paths: Path) -> list[bytes | None]:
    return [message.octets for message in read(*paths)]


@pytest.mark.parametrize("written", [mail(1), crlf(mail(1)), b"From: a@example.net\r\nSubject: 1\n\ntext\r\n"])
def test_a_file_is_a_message_with_crlf(tmp_path: Path, written: bytes) -> None:
    (tmp_path / "1.eml").write_bytes(written)
    assert octets_of(tmp_path / "1.eml") == [crlf(mail(1))]


def test_octets_stay_octets(tmp_path: Path) -> None:
    (tmp_path / "1.eml").write_bytes(b"Subject: x\n\n\x00\xff\x80 \xe4\n")
    assert octets_of(tmp_path) == [b"Subject: x\r\n\r\n\x00\xff\x80 \xe4\r\n"]


def test_an_mbox_is_split_as_pythons_own_module_does(tmp_path: Path) -> None:
    path = tmp_path / "box"
    box = mailbox.mbox(path)
    bodies = ["one", "two\n\nFrom here on it is text\n", ">From quoted", "", "From the first line of a body"]
    for number, body in enumerate(bodies):
        box.add(mail(number, body))
    box.close()
    again = mailbox.mbox(path)
    expected = [crlf(again.get_bytes(key)) for key in again.keys()]  # noqa: SIM118 - not a dict
    again.close()
    assert octets_of(path) == expected
    path.write_bytes(crlf(path.read_bytes()))
    assert octets_of(path) == expected, "as they are in SMTP, the same"


def test_a_line_that_begins_with_from_in_a_body_starts_no_message(tmp_path: Path) -> None:
    (tmp_path / "box").write_bytes(
        b"From a@example.net Mon Nov  2 10:00:00 2026\n" + mail(1, "x\nFrom here\n\nFrom there to nowhere")
    )
    assert octets_of(tmp_path / "box") == [crlf(mail(1, "x\nFrom here\n\nFrom there to nowhere"))]


def test_a_maildir_is_its_cur_and_new_and_the_maildirs_in_it(tmp_path: Path) -> None:
    box = mailbox.Maildir(tmp_path / "Maildir", create=True)
    box.add(mail(1))
    junk = box.add_folder("Junk")
    junk.add(mail(2))
    (tmp_path / "Maildir/tmp/half").write_bytes(b"From: half")
    (tmp_path / "Maildir/dovecot-uidlist").write_bytes(b"3 V1 N2\n")
    assert sorted(filter(None, octets_of(tmp_path / "Maildir"))) == [crlf(mail(1)), crlf(mail(2))]
    assert octets_of(tmp_path / "Maildir/.Junk") == [crlf(mail(2))]


def test_a_folder_is_all_files_below_it_but_hidden_ones_and_links(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    (folder / "old").mkdir(parents=True)
    (folder / "1.eml").write_bytes(mail(1))
    (folder / "old/2").write_bytes(mail(2))
    (folder / ".index").write_bytes(mail(3))
    (tmp_path / "secret").write_bytes(mail(4))
    (folder / "link.eml").symlink_to(tmp_path / "secret")
    (folder / "linked").symlink_to(tmp_path)
    os.mkfifo(folder / "waits-for-ever")
    assert octets_of(folder) == [crlf(mail(1)), crlf(mail(2))]


def test_what_is_no_message_is_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "b").write_bytes(b"just some notes\n")
    (tmp_path / "c").write_bytes(mail(1, "x" * MOST))
    found = read(tmp_path)
    assert [message.octets for message in found] == [None, None, None]
    for message, reason in zip(found, ("empty", "header field", "more than this server takes"), strict=True):
        assert reason in message.problem


def test_a_path_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files_in([tmp_path / "nosuch"])


def test_the_reader_gives_all_and_ends_early_when_told(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}.eml").write_bytes(mail(number, "x" * 50_000))
    with MailReader([tmp_path], MOST) as reader:
        got = []
        while (message := reader.next()) is not None:
            got.append(message.octets)
        assert got == [crlf(mail(number, "x" * 50_000)) for number in range(20)]
        assert reader.size_octets == sum(path.stat().st_size for path in tmp_path.iterdir())
    with MailReader([tmp_path], MOST) as reader:
        assert reader.next() is not None
