"""Where junk goes when its owner has renamed or removed the mailbox for it, over real SMTP and IMAP."""

from collections.abc import Iterator

import pytest

from support.server import Server, server

POLICY = 'version: 1\nrules: [{name: spam, when: message.subject == "spam", then: junk}]\n'


@pytest.fixture
def target() -> Iterator[Server]:
    with server(policy=POLICY) as made:
        yield made


def send_spam(target: Server) -> str:
    """What `explain` says of it once it is delivered."""
    code, text = target.send(b"From: a@sender.invalid\r\nSubject: spam\r\n\r\nbuy\r\n")
    assert code == 250, text
    queue_id = text.rsplit(" ", 1)[1]
    target.wait_delivered(queue_id)
    return target.explain(queue_id)


def listed(target: Server) -> list[bytes]:
    with target.imap() as client:
        _, lines = client.list()
    return [line for line in lines if isinstance(line, bytes) and b"\\Junk" in line]


def test_junk_follows_its_mailbox_through_renames_and_comes_to_a_new_one_when_it_is_removed(target: Server) -> None:
    assert "delivered to Junk" in send_spam(target)
    with target.imap() as client:
        assert client.rename("Junk", "Spam")[0] == "OK"
    assert listed(target) == [b'(\\HasNoChildren \\Junk) "/" "Spam"']
    assert "delivered to Spam" in send_spam(target)
    with target.imap() as client:
        assert client.create("Junk")[0] == "OK"  # and one of the old name is no reason to go there
    assert "delivered to Spam" in send_spam(target)
    assert len(target.messages("Spam")) == 3 and target.messages("Junk") == []
    with target.imap() as client:
        assert client.delete("Junk")[0] == client.delete("Spam")[0] == "OK"
    assert listed(target) == []
    assert "delivered to Junk" in send_spam(target)
    assert listed(target) == [b'(\\HasNoChildren \\Junk) "/" "Junk"']
    assert len(target.messages("Junk")) == 1 and target.messages() == []
