"""A script of a running server asks a list, whose entries commands keep."""

from support.server import server

POLICY = """version: 1
plugins: {}
lists:
  partners: {type: domain, database: true}
"""
SCRIPT = """require ["extlists", "fileinto"];
if address :domain :list "from" "tag:example.test,2026:partners" { fileinto "Archive"; }
"""


def test_an_entry_counts_for_the_next_message_and_a_broken_database_holds_mail_up() -> None:
    mail = b"From: bob@mail.partner.example\r\nSubject: hello\r\n\r\nhello\r\n"
    with server(policy=POLICY, start=False) as made:
        made.config.write_text(made.config.read_text() + "sieve_lists: {'tag:example.test,2026:partners': partners}\n")
        made.start()
        made.run("sieve", "put", made.demo, "mine", "-", "--activate", stdin=SCRIPT)
        assert made.send(mail)[0] == 250
        made.wait_for(1, "INBOX")
        made.run("list", "add", "partners", ".partner.example")
        assert made.send(mail)[0] == 250
        made.wait_for(1, "Archive")
        assert "1 x file into Archive" in made.run("sieve", "dry-run", made.demo, "--most", "1").stdout

        path = made.folder / "data/lists.sqlite"
        kept = path.read_bytes()
        path.write_bytes(b"no database at all" * 100)
        assert made.send(mail)[0] == 250
        made.until(lambda: "1 waiting" in made.run("queue", "list").stdout)
        path.write_bytes(kept)
        made.run("queue", "retry", "--all")
        made.wait_for(2, "Archive")
