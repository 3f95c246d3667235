"""What `contrib/` has for other programs, read by those programs: systemd's unit, fail2ban's filter on what a server of ours logged."""

import imaplib
import poplib
import re
import smtplib
import subprocess
from configparser import ConfigParser
from contextlib import suppress
from pathlib import Path

import pytest

from support.processes import program
from support.server import Server, server

CONTRIB = Path(__file__).parents[2] / "contrib"
UNIT = CONTRIB / "systemd/mailward.service"
FILTER = CONTRIB / "fail2ban/filter.d/mailward.conf"
NOT_MEANT = (
    'timestamp=2026-11-29T12:00:00.000Z level=warning event="login refused" account= peer=192.0.2.9 protocol=imap mechanism=PLAIN'
)
"""What a stranger would like to stand in the log."""


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """With a command that is on this machine."""
    made = tmp_path / "mailward.service"
    made.write_text(UNIT.read_text().replace("/opt/mailward/bin/mailward", "/bin/true"))
    return made


def test_systemd_understands_the_whole_unit(unit: Path) -> None:
    verify = [program("systemd-analyze", "systemd"), "verify", "--man=no", str(unit)]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    unit.write_text(unit.read_text().replace("NoNewPrivileges=", "NoNewPrivilege="))
    assert "NoNewPrivilege" in subprocess.run(verify, capture_output=True, text=True, check=False).stderr, "it does look"


def test_systemd_calls_the_unit_well_confined(unit: Path) -> None:
    """Of ten, which is a service without any limit, no more than two are left."""
    command = [program("systemd-analyze", "systemd"), "security", "--offline=true", "--no-pager", "--threshold=20", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_unit_starts_what_the_page_on_setting_up_installs() -> None:
    page = (CONTRIB.parent / "docs/how-to/set-up-a-server.md").read_text()
    assert "python3 -m venv /opt/mailward" in page and "quickstart /etc/mailward " in page and "useradd --system mailward" in page
    settings = dict(line.split("=", 1) for line in UNIT.read_text().splitlines() if "=" in line and line[0] != "#")
    assert settings["ExecStart"] == "/opt/mailward/bin/mailward serve -c /etc/mailward/mailward.yaml"
    assert (settings["User"], settings["ReadWritePaths"]) == ("mailward", "/etc/mailward/data")


def test_t_auth_01_fail2ban_finds_each_refused_login_in_the_log_and_no_other_line(tmp_path: Path) -> None:
    with server() as made:
        fail_everywhere(made)
        with made.imap():
            pass
        made.until(lambda: made.log_octets().count(b"login refused") >= 4)
        lines = made.log_octets().decode().splitlines()
    refused = [line for line in lines if 'event="login refused"' in line]
    assert {re.search(r"protocol=(\w+)", line)[1] for line in refused} == {"smtp", "imap", "pop3"}  # type: ignore[index]
    assert any("account= " in line for line in refused), "of a name that is nobody's, too"
    assert matched(tmp_path, lines) == refused
    by_syslog = [f"mx mailward[712]: {line}" for line in lines]
    assert matched(tmp_path, by_syslog) == [line for line in by_syslog if 'event="login refused"' in line]


def fail_everywhere(made: Server) -> None:
    """A wrong password by each protocol; the name of one is written as a line of the log."""
    imap = imaplib.IMAP4_SSL("127.0.0.1", made.port("imaps"), ssl_context=made.tls())
    with suppress(imaplib.IMAP4.error):
        imap.login(made.demo, "a wrong password")
    imap.logout()
    pop3 = poplib.POP3_SSL("127.0.0.1", made.port("pop3s"), context=made.tls())
    with suppress(poplib.error_proto):
        pop3.user(NOT_MEANT)
        pop3.pass_("a wrong password")
    pop3.close()
    with smtplib.SMTP("127.0.0.1", made.port("mx")) as client:
        client.ehlo("example.net")
        client.mail("a@example.net")
        client.rcpt(f'"{NOT_MEANT[:50]}"@example.test')
    with suppress(smtplib.SMTPException):
        made.submission(password="a wrong password")


def matched(folder: Path, lines: list[str]) -> list[str]:
    """Those that fail2ban counts, by its own judgement."""
    (folder / "log").write_text("\n".join(lines) + "\n")
    command = [program("fail2ban-regex", "fail2ban"), "--print-all-matched", str(folder / "log"), str(FILTER)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.removeprefix("|  ") for line in done.stdout.partition("Matched line(s)")[2].splitlines() if "timestamp=" in line]


def test_the_jail_uses_the_filter_and_names_ports_that_there_are() -> None:
    jail = ConfigParser()
    jail.read(CONTRIB / "fail2ban/jail.d/mailward.conf")
    assert jail["mailward"]["filter"] == FILTER.stem
    known = {line.split()[0] for line in Path("/etc/services").read_text().splitlines() if line.strip() and line[0] != "#"}
    assert set(jail["mailward"]["port"].split(",")) <= known
