"""The hour of the tutorial, typed line by line: each command prints what the page shows, but for ids, times and hashes."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.dns_server import DnsServer
from support.reader import page_text
from support.server import COMMAND, Server, server

PAGE = "tutorials/an-hour-with-a-policy.md"
OF_THE_PAGE = "/home/you/mailward/run"
EXITS = {"try send --eicar": 1, "policy shadow": 1, "policy replay": 1}
"""Of commands that say something by it. A check of a policy that fails is 78."""
VARIES = [
    (r"\b[0-9a-hjkmnp-tv-z]{16}\b", "ID"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \w+", "TIME"),
    (r"\d{4}-\d\d-\d\d", "DAY"),
    (r"\bpolicy [0-9a-f]{7}\b", "policy HASH"),
    (r"(?m)^[0-9a-f]{7}  TIME", "HASH  TIME"),
    (r"\d+ ms", "N ms"),
    (r"process \d+", "process N"),
    (r"<[\d.]+@sender\.invalid>", "<ID@sender.invalid>"),
    (r"\d+ octets", "N octets"),
    (r" +", " "),
]


def steps() -> Iterator[tuple[str, str, str]]:
    """Of the page, in its order: ("yaml", a whole policy file, "") and ("$", a command, what it prints)."""
    for language, block in re.findall(r"(?ms)^```(console|yaml)\n(.*?)^```", page_text(PAGE)):
        if language == "yaml":
            yield "yaml", block, ""
        else:
            for command, printed in re.findall(r"(?m)^\$ (.*)\n((?:(?!\$ ).*\n)*)", block):
                yield "$", command, printed


def same(text: str) -> str:
    for varies, stands in VARIES:
        text = re.sub(varies, stands, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def matches(printed: str, shown: str) -> bool:
    """Is that what the page shows? "..." stands for any lines."""
    pattern = "(?s:.*)".join(re.escape(same(part)) for part in re.split(r"(?m)^\.\.\.$", shown))
    return re.fullmatch(pattern + r"\s*", same(printed)) is not None


def workers_reloaded(made: Server) -> int:
    return made.log_octets().count(b"event=reloaded\n")


def wait_for_workers(made: Server, wanted: int) -> None:
    made.until(lambda: workers_reloaded(made) >= wanted)


@pytest.mark.timeout(600)
def test_an_hour_with_a_policy_goes_as_the_page_shows(tmp_path: Path, dns_server: DnsServer) -> None:
    with server(start=False) as made:
        host, port = dns_server.address
        made.config.write_text(re.sub(r"(?m)^dns: .*", f'dns: {{servers: ["{host}:{port}"]}}', made.config.read_text()))
        policy = made.folder / "policies/inbound.yaml"
        (tmp_path / "run").symlink_to(made.folder)
        environment = {
            **os.environ, "PATH": f"{Path(COMMAND).parent}:{os.environ['PATH']}", "COLUMNS": "200", "TZ": "UTC",
            "MAILWARD_CONFIG": str(made.config),
        }  # fmt: skip
        made.start()
        oldest = made.json("policy", "history")[-1]["hash"]
        typed = []
        for kind, text, shown in steps():
            if kind == "yaml":
                policy.write_text(text)
                continue
            command = re.sub(r"(?<=rollback )[0-9a-f]{7}", oldest, text)
            if "policy replay" in command:  # "take the lines out of the file"
                policy.write_text(re.sub(r"(?m)^ +(mode: shadow|shadow: true)\n", "", policy.read_text()))
            before = workers_reloaded(made)
            done = subprocess.run(
                ["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
            )
            printed = done.stdout or re.sub(r"(?m)^configuration: .*\n", "", done.stderr)
            assert matches(printed.replace(str(made.folder), OF_THE_PAGE), shown), f"$ {command}\n{printed}"
            is_wrong = "the test fails" in shown
            expected = 78 if is_wrong else next((code for words, code in EXITS.items() if words in command), 0)
            assert done.returncode == expected, f"$ {command}: exit {done.returncode}\n{printed}"
            if re.search("reload|rollback", command) and not is_wrong:
                wait_for_workers(made, before + made.workers())
            for queue_id in re.findall(r"Accepted, id (\w+)", printed):
                made.wait_delivered(queue_id)
            typed.append(command)
        assert {"explain", "check", "reload", "shadow", "replay", "rollback"} <= set(re.findall(r"\w+", " ".join(typed)))
