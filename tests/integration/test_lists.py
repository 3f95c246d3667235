"""Lists in the database of a running server that is not well."""

from support.server import Server, server

MAIL = b"From: eve@bad.example\r\nSubject: hello\r\n\r\nhello\r\n"
POLICY = """version: 1
extends: mailward/inbound
plugins: {antivirus: {engine: test-file}}
lists:
  blocked: {type: address, database: true}
rules:
  - {name: blocked, when: 'mail_from.address.listed("blocked")', then: reject}
"""


def code(made: Server) -> set[int]:
    """Of several connections, which several processes take."""
    return {made.send(MAIL, sender="eve@bad.example")[0] for _ in range(6)}


def test_a_database_that_breaks_changes_nothing_until_the_next_start() -> None:
    with server(policy=POLICY) as made:
        made.run("list", "add", "blocked", "eve@bad.example")
        assert code(made) == {554}
        path = made.folder / "data/lists.sqlite"
        path.write_bytes(b"no database at all" * 100)
        assert code(made) == {554}
        assert "policy list kept" in made.log() and "file is not a database" in made.log()
        checked = made.run("policy", "check", check=False)
        assert checked.returncode == 78
        assert "policies/inbound.yaml:5:" in checked.stderr and "lists.blocked: cannot be read" in checked.stderr
        path.unlink()
        assert code(made) == {554}
        made.run("list", "add", "blocked", "bob@bad.example")
        made.until(lambda: code(made) == {250}, timeout_s=60)
