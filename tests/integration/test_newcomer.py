"""What a newcomer tries next, in closer view; test_first_run.py goes the way from the clone to there."""

import json

from support.server import server


def test_the_eicar_test_file_is_refused_and_explained() -> None:
    with server() as target:
        refused = target.run("try", "send", "--eicar", check=False)
        assert refused.returncode == 1
        assert refused.stdout.startswith("554 5.7.1 ")
        explained = target.run("explain", "last").stdout
        assert explained.startswith("REJECT  demo@example.test   rule infected (")
        record = json.loads(target.run("explain", "last", "--json").stdout)
        assert record["facts"]["antivirus.infected"] is True
        assert target.messages() == []


def test_points_of_an_explained_message_add_up() -> None:
    with server() as target:
        code, _ = target.send(b"Subject: THIS IS ALL IN CAPITALS\r\n\r\nbody\r\n")
        assert code == 250
        record = json.loads(target.run("explain", "last", "--json").stdout)
        points = sum(f["points"] for call in record["calls"] for f in call["findings"] if call["status"] == "ok")
        assert record["recipients"][0]["score"] == points
        assert points > 0


def test_sigterm_ends_the_server_cleanly_and_a_second_start_serves_the_same_mail() -> None:
    with server() as target:
        target.run("try", "send")
        target.wait_for(1)
        assert target.terminate() == 0
        target.start()
        assert len(target.messages()) == 1


def test_exit_codes_tell_what_went_wrong() -> None:
    with server(start=False) as target:
        for arguments, code in (
            (("scan",), 64),
            (("nosuch",), 64),
            (("scan", "/nonexistent"), 66),
            (("explain", "last"), 66),
            (("account", "password", "nobody@example.test", "--password-stdin"), 66),
            (("account", "add", "demo@example.test", "--password-stdin"), 64),
            (("policy", "check", "-c", "/nonexistent"), 78),
            (("try", "send"), 70),
        ):
            assert target.run(*arguments, stdin="secret\n", check=False).returncode == code, arguments
