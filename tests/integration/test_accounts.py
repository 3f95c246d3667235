"""`mailward account` and `mailward domain`, as an admin types them: nothing by accident, and everything can be undone."""

from support.server import server


def test_a_domain_that_is_not_served_is_not_taken_on_by_a_typo() -> None:
    with server(start=False) as target:
        refused = target.run("account", "add", "bob@gmail.test", "--password-stdin", stdin="long enough\n", check=False)
        assert refused.returncode == 64
        assert "served are: example.test" in refused.stderr
        assert "mailward account add bob@gmail.test --new-domain" in refused.stderr
        assert [entry["domain"] for entry in target.json("domain", "list")] == ["example.test"]
        assert len(target.json("account", "list")) == 1

        made = target.run("account", "add", "bob@second.test", "--new-domain", "--password-stdin", stdin="long enough\n")
        assert "mailward domain dns second.test" in made.stdout


def test_what_was_added_can_be_removed_again() -> None:
    with server(start=False) as target:
        target.add_account("bob@second.test")
        target.run("account", "address", "add", "sales@second.test", "demo@example.test")
        target.run("alias", "add", "shop@example.test", "bob@second.test")
        assert "bob@second.test" in target.run("domain", "remove", "second.test", "--yes", check=False).stderr
        removed = target.run("account", "remove", "bob@second.test", "--yes").stdout
        assert removed.splitlines() == [
            "account bob@second.test removed",
            "aliases that lead to nobody now: shop@example.test",
            "it never had any mail",
        ]

        assert "add --yes" in target.run("domain", "remove", "second.test", check=False).stderr
        assert "shop@example.test" in target.run("domain", "remove", "second.test", "--yes", check=False).stderr
        target.run("alias", "remove", "shop@example.test")
        gone = target.json("domain", "remove", "second.test", "--yes")
        assert gone["addresses"] == ["sales@second.test"]
        assert gone["keys"] == str(target.folder / "secrets/dkim/second.test")
        assert len(list((target.folder / "secrets/dkim/second.test").glob("*.pem"))) == 2
        assert [entry["domain"] for entry in target.json("domain", "list")] == ["example.test"]


def test_who_becomes_postmaster_by_a_removal_is_said() -> None:
    with server(start=False) as target:
        target.add_account("bob@second.test")
        removed = target.run("account", "remove", "demo@example.test", "--yes").stdout
        assert "its further addresses too: abuse@example.test, postmaster@example.test" in removed
        assert "postmaster@example.test now goes to bob@second.test" in removed
        assert "postmaster@second.test now goes to nobody" in target.run("account", "remove", "bob@second.test", "--yes").stdout


def test_a_password_can_be_made_up_and_a_very_short_one_is_refused() -> None:
    with server(start=False) as target:
        made = target.json("account", "add", "bob@example.test", "--make-password")
        assert len(made["password"]) >= 16
        assert made["password"] not in str(target.json("account", "list"))
        again = target.run("account", "password", "bob@example.test", "--make-password").stdout
        assert again.startswith("password of bob@example.test set\npassword: ") and made["password"] not in again

        for arguments in (("account", "add", "carol@example.test"), ("account", "password", "bob@example.test")):
            refused = target.run(*arguments, "--password-stdin", stdin="short\n", check=False)
            assert refused.returncode == 64 and "a password of 5 characters is soon guessed" in refused.stderr
        assert (
            target.run("account", "add", "carol@example.test", "--make-password", "--password-stdin", check=False).returncode
            == 64
        )


def test_no_file_holds_a_password_that_is_none_any_more() -> None:
    with server(start=False) as target:
        target.run("quickstart", str(target.folder.parent / "made"), "--domain", "example.test", "--account", "a@example.test")
        config = ("-c", str(target.folder.parent / "made/mailward.yaml"))
        kept = target.folder.parent / "made/secrets/a@example.test.password"
        made_up = kept.read_text()
        target.run("account", "password", "a@example.test", "--password-stdin", *config, stdin=made_up)
        assert kept.read_text() == made_up
        target.run("account", "password", "a@example.test", "--make-password", *config)
        assert not kept.exists()


def test_what_cannot_be_made_is_said_before_a_password_is_asked_for() -> None:
    with server(start=False) as target:
        for address, reason in (
            ("demo@example.test", "is taken"),
            ("abuse@example.test", "a further address"),
            ("x@far.test", "not served"),
        ):
            refused = target.run("account", "add", address, check=False)
            assert refused.returncode == 64 and reason in refused.stderr, refused.stderr
            assert "terminal" not in refused.stderr
        assert "--make-password" in target.run("account", "add", "new@example.test", check=False).stderr


def test_a_quota_is_set_for_a_domain_and_for_an_account() -> None:
    with server(start=False) as target:
        said = target.run("account", "quota", "demo@example.test").stdout
        assert said == "demo@example.test holds 0 of any number of octets and 0 of any number of messages\n"
        assert target.json("domain", "quota", "example.test", "--size", "2G", "--messages", "1000") == {
            "domain": "example.test",
            "most_octets": 2 << 30,
            "most_messages": 1000,
        }
        found = target.json("account", "quota", "demo@example.test", "--size", "500m", "--messages", "none")
        assert (found["most_octets"], found["most_messages"]) == (500 << 20, None)
        found = target.json("account", "quota", "demo@example.test", "--size", "default", "--messages", "default")
        assert (found["most_octets"], found["most_messages"]) == (2 << 30, 1000)
        refused = target.run("account", "quota", "demo@example.test", "--messages", "5K", check=False)
        assert refused.returncode == 64 and "--messages wants a number such as 100000, none or default" in refused.stderr


def test_a_capability_is_switched_off_for_one_account() -> None:
    with server() as target:
        target.add_account("bob@example.test")
        arguments = ("account", "capabilities", "demo@example.test")
        assert target.run(*arguments).stdout == "demo@example.test is offered everything\n"
        found = target.json(*arguments, "--off", "qresync", "--off", "NOTIFY", "--off", "COMPRESS=DEFLATE", "--on", "NOTIFY")
        assert found["capabilities_off"] == ["COMPRESS=DEFLATE", "QRESYNC"]
        for account, offered in (("demo@example.test", False), ("bob@example.test", True)):
            with target.imap(account) as client:
                capabilities = client.capability()[1][0].split()
                assert {b"QRESYNC" in capabilities, b"COMPRESS=DEFLATE" in capabilities} == {offered}
                assert {b"NOTIFY", b"CONDSTORE"} <= {*capabilities}
                client.enable("QRESYNC")
                assert client.response("ENABLED")[1] == [b"QRESYNC" if offered else b""]
        assert target.run(*arguments, "--on", "QRESYNC", "--on", "COMPRESS=DEFLATE").stdout.endswith("offered everything\n")
        refused = target.run(*arguments, "--off", "IMAP4rev1", check=False)
        assert refused.returncode == 64 and "IMAP4rev1 cannot be switched off; these can: " in refused.stderr
