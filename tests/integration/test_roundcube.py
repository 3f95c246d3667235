"""A real Roundcube in a real Firefox: what a person does in an hour of webmail, and what has become of it in the mailbox."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from support.firefox import Browser, firefox
from support.roundcube import roundcube, with_its_imap
from support.server import PASSWORD, Server, server

FOLDER, ON_THE_WIRE = "Bücher", "B&APw-cher"
LISTED = "return [...document.querySelectorAll('#messagelist tbody tr')].filter(row => row.offsetParent)"


@pytest.fixture(scope="module")
def target() -> Iterator[Server]:
    with server() as made:
        yield made


@pytest.fixture(scope="module")
def webmail(target: Server) -> Iterator[str]:
    with roundcube(target) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with firefox() as opened:
        yield opened


def send(target: Server, subject: str) -> None:
    head = f"From: a@sender.invalid\r\nTo: demo@example.test\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
    assert target.send(f"{head}Content-Type: text/plain\r\n\r\nthe text of {subject}\r\n".encode())[0] == 250


def in_mailbox(target: Server, mailbox: str, *criteria: str) -> int:
    """How many messages fit."""
    with target.imap() as client:
        client.select(f'"{mailbox}"', readonly=True)
        return len(client.search(None, *criteria)[1][0].split())


def listed(browser: Browser) -> list[str]:
    """The subjects that can be seen, sorted, once the page has done what it was told."""
    browser.until_script("window.rcmail && !rcmail.busy")
    return sorted(browser.runs(f"{LISTED}.map(row => row.querySelector('.subject a').innerText.trim())"))


def choose(browser: Browser, subject: str) -> None:
    browser.runs(
        f"rcmail.message_list.select(({LISTED.removeprefix('return ')}).find(row => row.innerText.includes('{subject}')).uid)"
    )


def log_in(browser: Browser, webmail: str, account: str, password: str = PASSWORD) -> None:
    browser.opens(webmail)
    browser.types("#rcmloginuser", account)
    browser.types("#rcmloginpwd", password)
    browser.clicks("#rcmloginsubmit")
    browser.until_script("window.rcmail && rcmail.env.task == 'mail'")


def does(browser: Browser, command: str, argument: str = "") -> None:
    """What a button of the page does, as soon as the page lets it: asked and done in one script, since a page that is busy again
    passes over it."""
    able = f"window.rcmail && !rcmail.busy && rcmail.commands['{command}']"
    browser.until_script(f"{able} && (rcmail.command('{command}', '{argument}'), true)")


def test_mail_is_listed_read_searched_flagged_moved_and_deleted(target: Server, webmail: str, browser: Browser) -> None:
    for subject in ("one", "two", "three"):
        send(target, subject)
    target.wait_for(3)
    target.run("account", "quota", "demo@example.test", "--size", "1M")
    log_in(browser, webmail, "demo@example.test")
    browser.until(lambda: listed(browser) == ["one", "three", "two"], "the messages")
    browser.until_script("document.querySelector('#rcmquotadisplay').title.includes('1.0 MB')")
    choose(browser, "two")
    with browser.frame("#messagecontframe"):
        browser.until(lambda: "the text of two" in browser.text(), "the text")
    browser.types("#mailsearchform", "thr\n")
    browser.until(lambda: listed(browser) == ["three"], "what was searched for")
    does(browser, "reset-search")
    browser.until(lambda: len(listed(browser)) == 3, "all messages")
    choose(browser, "one")
    does(browser, "mark", "flagged")
    browser.until(lambda: in_mailbox(target, "INBOX", "FLAGGED", "SUBJECT", "one"), "the flag")
    choose(browser, "one")
    does(browser, "move", "Archive")
    browser.until(lambda: in_mailbox(target, "Archive", "FLAGGED", "SUBJECT", "one"), "the move")
    choose(browser, "three")
    does(browser, "delete")
    browser.until(lambda: in_mailbox(target, "Trash", "SUBJECT", "three"), "the deletion")
    browser.until(lambda: listed(browser) == ["two"], "the rest")
    assert in_mailbox(target, "INBOX", "SEEN", "SUBJECT", "two") == 1


def test_a_message_with_a_file_is_sent_and_kept(target: Server, webmail: str, browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("what is attached\n")
    browser.opens(f"{webmail}?_task=mail&_action=compose")
    browser.types("#compose_to input", "demo@example.test,")
    browser.types("#compose-subject", "with a file")
    browser.types("#composebody", "Grüße from the browser")
    browser.gives_file("#uploadform input[type=file]", tmp_path / "note.txt")
    browser.until_script(
        "document.querySelector('#attachment-list li') && !document.querySelector('#attachment-list li.uploading')"
    )
    does(browser, "send")
    browser.until_script("window.rcmail && rcmail.env.action != 'compose'")
    (kept,) = target.wait_for(1, "Sent")
    assert b"Gr\xc3\xbc\xc3\x9fe" in kept and b"filename=note.txt" in kept
    received = next(octets for octets in target.wait_for(2) if b"Subject: with a file" in octets)
    assert received.endswith(kept)


def test_a_folder_is_made_and_a_filter_sorts_into_it(target: Server, webmail: str, browser: Browser) -> None:
    browser.opens(f"{webmail}?_task=settings&_action=folders")
    does(browser, "create-folder")
    with browser.frame("#preferences-frame"):
        browser.types("input[name=_name]", FOLDER)
        does(browser, "save")
    browser.until(lambda: FOLDER in browser.text(), "the folder")
    with target.imap() as client:
        assert ON_THE_WIRE.encode() in b" ".join(client.lsub()[1])
    browser.opens(f"{webmail}?_task=settings&_action=plugin.managesieve")
    does(browser, "plugin.managesieve-add")
    with browser.frame("iframe"):
        browser.types("input[name=_name]", "bills")
        browser.types("#rule_target0_list input", "invoice")
        browser.runs(
            f"[...document.querySelector('[name=\"_action_mailbox[0]\"]').options].find(one => one.text.includes('{FOLDER}')).selected = true"
        )
        does(browser, "plugin.managesieve-save")
    browser.until(lambda: "bills" in browser.text(), "the filter")
    send(target, "your invoice")
    assert len(target.wait_for(1, ON_THE_WIRE)) == 1


def test_another_folder_is_made_the_one_for_sent_mail(target: Server, webmail: str, browser: Browser) -> None:
    """By METADATA (RFC 6154 section 4)."""
    browser.opens(f"{webmail}?_task=settings&_action=edit-prefs&_section=folders")
    browser.runs(f"document.querySelector('#_sent_mbox').value = '{ON_THE_WIRE}'")
    does(browser, "save")
    with target.imap() as client:
        browser.until(lambda: "\\\\Sent" in str(client.list('""', ON_THE_WIRE)), "the special use")
        assert "\\\\Sent" not in str(client.list('""', "Sent"))


def test_what_its_plugins_note_about_folders_comes_back(target: Server) -> None:
    noted = {"/private/vendor/kolab/color": "c0ffee", "/shared/comment": "two\r\nlines, Grüße", "/private/comment": "x" * 2000}
    pairs = ", ".join(f"'{name}' => {json.dumps(value, ensure_ascii=False)}" for name, value in noted.items())
    names = str([*noted])
    wanted = "['/private', '/shared/comment'], ['DEPTH' => 1, 'MAXSIZE' => 100]"
    found = with_its_imap(
        target,
        f"[$imap->setMetadata('Archive', [{pairs}]), $imap->getMetadata('Archive', {names}),"
        f" $imap->getMetadata('Archive', {wanted}), $imap->deleteMetadata('Archive', {names}),"
        " $imap->getMetadata('Archive', ['/private/comment'])]",
    )
    assert found == [
        True,
        {"Archive": noted},
        {"Archive": {"/private/specialuse": "\\Archive", "/shared/comment": noted["/shared/comment"]}},
        True,
        [],
    ]


def test_a_folder_is_shared_and_who_may_read_it_finds_it(target: Server, webmail: str, browser: Browser) -> None:
    target.add_account("bob@example.test")
    browser.opens(f"{webmail}?_task=settings&_action=edit-folder&_mbox={quote(ON_THE_WIRE)}")
    does(browser, "acl-create")
    browser.types("#acluser", "bob@example.test")
    browser.runs("document.querySelector('#simplerights input').checked = true")
    does(browser, "acl-save")
    browser.until_script("document.querySelector('[data-userid=\"bob@example.test\"]')")
    does(browser, "logout")
    log_in(browser, webmail, "bob@example.test", target.password("bob@example.test"))
    browser.opens(f"{webmail}?_task=settings&_action=folders")
    browser.until(lambda: FOLDER in browser.text(), "the shared folder")
    browser.opens(f"{webmail}?_task=mail&_mbox={quote(f'Other Users/demo@example.test/{ON_THE_WIRE}')}")
    browser.until(lambda: listed(browser) == ["your invoice"], "its message")
