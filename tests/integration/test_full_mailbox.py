"""A stranger's server hears at RCPT that a mailbox is full, and what was taken before waits for room; nobody is sent a bounce."""

from support.server import Server, server

HEAD = b"From: sender@sender.invalid\r\nTo: demo@example.test\r\nSubject: %s\r\n\r\n"


def _rcpt(target: Server, *recipients: str, size: int = 0) -> list[str]:
    with target.smtp() as client:
        client.ehlo()
        client.mail("sender@sender.invalid", [f"SIZE={size}"] if size else [])
        return [" ".join((str(code), text.decode())) for code, text in map(client.rcpt, recipients)]


def test_a_full_mailbox_is_told_before_the_message_is_sent_and_only_to_other_servers() -> None:
    with server(policy="version: 1\nplugins: {}\n") as target:
        target.add_account("bob@example.test")
        target.run("alias", "add", "both@example.test", target.demo, "bob@example.test")
        assert target.send(HEAD % b"large" + b"x" * 70 + b"\r\n")[0] == 250
        target.wait_for(1)
        held = target.json("account", "quota", target.demo)["octets"]
        target.run("account", "quota", target.demo, "--size", str(held))
        fits, too_large = _rcpt(target, target.demo, size=held // 12)[0], _rcpt(target, target.demo, size=held)[0]
        assert fits.startswith("250 ") and too_large.startswith("452 4.2.2 The mailbox is full")

        target.run("account", "quota", target.demo, "--size", "10")
        full, alone, several, nobody = _rcpt(target, target.demo, "bob@example.test", "both@example.test", "no@example.test")
        assert full.startswith("452 4.2.2 ") and nobody.startswith("550 5.1.1 ")
        assert (alone[:4], several[:4]) == ("250 ", "250 ")
        id = full.rpartition(" ")[2].rstrip(")")
        assert "full mailbox" in target.explain(id) and f"id={id} rcpt={target.demo} verdict=tempfail" in target.log()

        letter = HEAD.replace(b"sender@sender.invalid", b"bob@example.test") % b"from a colleague" + b"x\r\n"
        assert target.submit(letter, account="bob@example.test")[0] == 250
        target.until(lambda: "mailbox full: " in target.run("queue", "list").stdout)
        raised = target.run("account", "quota", target.demo, "--size", "none").stdout
        assert "mailward queue retry --problem 'mailbox full'" in raised, "what waits hears of it by a command"
        assert _rcpt(target, target.demo)[0].startswith("250 ")
        target.run("queue", "retry", "--problem", "mailbox full")
        assert any(b"from a colleague" in one for one in target.wait_for(2)), "what was taken is not lost"
