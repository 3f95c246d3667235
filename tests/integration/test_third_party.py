"""Filters that others make: as a package installed by pip into an environment of its own, and as the same file dropped in.

The package is what `mailward plugins new` writes; the environment holds this project's wheel, that package's wheel and nothing
of the checkout.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.server import COMMAND, Server, open_folder, server

pytestmark = pytest.mark.timeout(300)  # the first test waits for the environment

ROOT = Path(__file__).parents[2]
SUBJECT = "x" * 160
POLICY = """\
version: 1
extends: mailward/inbound
plugins:
  antivirus: {engine: test-file}
  acme_dlp: {longer_than: 120}
rules:
  - name: long-subject
    when: acme_dlp.length > 150
    then: reject
    reply: "554 5.7.1 The subject has {acme_dlp.length} characters"
"""
SPY = """\
import pathlib, sys
from mailward.api import MessageView, Plugin, hookimpl

pathlib.Path(__file__).with_name("imported").write_text(" ".join(sys.argv))
plugin = Plugin(api=1, summary="Says that it was imported")

@hookimpl
def inspect_message(message: MessageView) -> None:
    return None
"""


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """A command that must succeed, away from the checkout."""
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, timeout=280, check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))},
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@dataclass(frozen=True)
class Environment:
    """A virtual environment with this project and the packages of others. module: the source of acme_dlp.

    spy: the file that acme_spy writes when it is imported.
    """

    command: str
    module: str
    spy: Path


@pytest.fixture(scope="module")
def environment() -> Iterator[Environment]:
    folder = open_folder()
    run(COMMAND, "plugins", "new", "acme-dlp", "--target", folder)
    run(COMMAND, "plugins", "new", "acme-spy", "--target", folder)
    (folder / "acme-spy/acme_spy.py").write_text(SPY)
    run(getattr(sys, "_base_executable", sys.executable), "-m", "venv", folder / "venv", cwd=folder)
    pip = [folder / "venv/bin/python", "-m", "pip", "--disable-pip-version-check", "-q"]
    wheels = folder / "wheels"
    run(*pip, "wheel", "--no-deps", "-w", wheels, ROOT, folder / "acme-dlp", folder / "acme-spy", cwd=folder)
    run(*pip, "install", "-c", ROOT / "constraints.txt", *sorted(wheels.glob("*.whl")), cwd=folder)
    (site_packages,) = (folder / "venv/lib").glob("python*/site-packages")
    site_packages.chmod(0o777)  # the server's user is to be able to leave the trace of the import
    yield Environment(
        str(folder / "venv/bin/mailward"), (folder / "acme-dlp/acme_dlp.py").read_text(), site_packages / "imported"
    )
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def installed(environment: Environment) -> Iterator[Server]:
    with server(policy=POLICY, command=environment.command) as made:
        yield made


def judged(made: Server) -> dict[str, Any]:
    """What is said of a mail with a long subject, by reply and by record."""
    octets = f"From: a@sender.invalid\r\nTo: demo@example.test\r\nSubject: {SUBJECT}\r\n\r\ntext\r\n".encode()
    code, text = made.send(octets)
    record = json.loads(made.run("explain", "last", "--json").stdout)
    (call,) = [call for call in record["calls"] if call["plugin"] == "acme_dlp"]
    (recipient,) = record["recipients"]
    return {
        "reply": (code, text.partition(", id")[0].partition(" (id")[0]),
        "findings": call["findings"],
        "facts": {name: value for name, value in record["facts"].items() if name.startswith("acme_dlp.")},
        "recipient": {key: recipient[key] for key in ("verdict", "score", "source_kind", "source_name")},
    }


def test_a_package_by_pip_decides_and_is_explained(installed: Server) -> None:
    found = judged(installed)
    assert found["reply"][0] == 554
    assert found["reply"][1].startswith("5.7.1 The subject has 160 characters")
    assert found["recipient"]["source_name"] == "long-subject"
    assert found["facts"] == {"acme_dlp.length": 160, "acme_dlp.status": "ok"}
    explained = installed.run("explain", "last").stdout
    assert explained.startswith("REJECT  demo@example.test   rule long-subject (policies/inbound.yaml:7:5)")
    assert re.search(r"acme_dlp .* ACME_DLP_LONG_SUBJECT +\+1\.0  the subject has 160 characters", explained)
    assert "acme-dlp 0.1.0" in installed.run("plugins", "list").stdout


def test_it_runs_from_its_own_environment(installed: Server, environment: Environment) -> None:
    python = Path(environment.command).with_name("python")
    where = run(python, "-c", "import mailward, acme_dlp; print(mailward.__file__, acme_dlp.__file__)")
    assert where.count("/site-packages/") == 2 and str(ROOT) not in where


def test_the_same_file_dropped_in_decides_the_same(installed: Server, environment: Environment) -> None:
    with server(policy=POLICY, start=False) as made:
        (made.folder / "plugins/acme_dlp.py").write_text(environment.module)
        made.start()
        assert judged(made) == judged(installed)


def test_t_plug_02_what_is_installed_and_not_named_is_never_imported(installed: Server, environment: Environment) -> None:
    judged(installed)
    (installed.folder / "mail.eml").write_text("Subject: x\n\ny\n")
    for arguments in (["plugins", "list"], ["policy", "check"], ["policy", "test"], ["scan", str(installed.folder / "mail.eml")]):
        installed.run(*arguments, check=False)
    assert "acme_spy" in installed.run("plugins", "list").stdout
    assert not environment.spy.exists()
    python = Path(environment.command).with_name("python")
    run(python, "-c", "import acme_spy")
    assert environment.spy.exists(), "importing it leaves a trace"
    environment.spy.unlink()


def test_t_plug_02_two_plugins_of_one_name_are_refused(environment: Environment) -> None:
    with server(policy=POLICY, start=False, command=environment.command) as made:
        (made.folder / "plugins/acme_dlp.py").write_text(environment.module)
        refused = made.run("serve", check=False)
        assert refused.returncode == 78
        assert "two plugins have this name" in refused.stderr
        assert "acme-dlp 0.1.0" in refused.stderr and "plugins/acme_dlp.py" in refused.stderr


# Drop-ins

WORKS = """\
from mailward.api import Finding, MessageView, Plugin, Symbol, hookimpl
plugin = Plugin(api=1, summary="A filter for a test", symbols={"SEEN": Symbol(1.0, "seen")}, capabilities=("body",))

@hookimpl
def inspect_message(message: MessageView) -> Finding:
    return Finding("SEEN", "the other filter has looked")
"""
BROKEN = {
    "raises": ("raise RuntimeError('no licence file')\n", "no licence file"),
    "leaves": ("import sys\nsys.exit('goodbye')\n", "goodbye"),
    "garbled": ("def inspect_message(:\n", "SyntaxError"),
    "empty": ("", "its module must carry"),
    "fails": (
        WORKS.replace('    return Finding("SEEN", "the other filter has looked")', "    raise ValueError('on fire')"),
        "on fire",
    ),
}
AT_LOAD = [name for name in BROKEN if name != "fails"]


def put_dropins(made: Server) -> None:
    (made.folder / "plugins/works.py").write_text(WORKS)
    for name, (source, _) in BROKEN.items():
        (made.folder / f"plugins/{name}.py").write_text(source)


def test_t_plug_03_broken_ones_that_are_optional_are_left_out_and_the_others_work() -> None:
    named = "\n".join(f"  {name}: {{optional: true, on_error: accept}}" for name in BROKEN)
    with server(policy=f"version: 1\nplugins:\n  works: {{}}\n{named}\n", start=False) as made:
        put_dropins(made)
        made.start()
        assert made.send(b"From: a@sender.invalid\r\nSubject: x\r\n\r\nbody\r\n")[0] == 250
        record = json.loads(made.run("explain", "last", "--json").stdout)
        calls = {call["plugin"]: call for call in record["calls"]}
        assert set(calls) == {"works", "fails"}
        assert calls["works"]["findings"][0]["symbol"] == "SEEN"
        assert calls["fails"]["status"] == "failed" and "on fire" in calls["fails"]["error"]
        log = made.log()
        for name in AT_LOAD:
            assert re.search(rf"plugin left out.*'{name}'.*{BROKEN[name][1]}", log), name


@pytest.mark.parametrize("name", AT_LOAD)
def test_t_plug_03_a_broken_one_that_is_needed_keeps_the_server_from_starting(name: str) -> None:
    with server(policy=f"version: 1\nplugins:\n  works: {{}}\n  {name}: {{}}\n", start=False) as made:
        put_dropins(made)
        refused = made.run("serve", check=False)
        assert refused.returncode == 78
        assert f"plugin '{name}'" in refused.stderr and BROKEN[name][1] in refused.stderr
        assert f"plugins/{name}.py" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_t_plug_03_one_that_fails_at_work_defers_the_mail_unless_told_otherwise() -> None:
    with server(policy="version: 1\nplugins:\n  works: {}\n  fails: {optional: true}\n", start=False) as made:
        put_dropins(made)
        made.start()
        code, text = made.send(b"From: a@sender.invalid\r\nSubject: x\r\n\r\nbody\r\n")
        assert (code, text[:6]) == (451, "4.3.0 ") and "fire" not in text
        assert "FAILED" in made.run("explain", "last").stdout


def open_file(plugins: Path) -> str:
    (plugins / "works.py").chmod(0o666)
    return "works.py can be written by others (mode 666)"


def open_folder_above(plugins: Path) -> str:
    plugins.chmod(0o777)
    return "plugins can be written by others (mode 777)"


def linked_file(plugins: Path) -> str:
    (plugins / "works.py").rename(plugins / "real")
    (plugins / "works.py").symlink_to(plugins / "real")
    return "works.py is a symbolic link"


def foreign_file(plugins: Path) -> str:
    os.chown(plugins / "works.py", 12345, 12345)
    return "works.py belongs to uid 12345"


OPENINGS = [open_file, open_folder_above, linked_file, *([foreign_file] if os.geteuid() == 0 else [])]
"""Only root can make a file somebody else's."""


@pytest.mark.parametrize("opening", OPENINGS)
def test_t_plug_01_a_drop_in_that_others_could_have_written_is_refused(opening: Any) -> None:
    with server(policy="version: 1\nplugins: {works: {}}\n", start=False) as made:
        trace = made.folder / "data/ran"
        plugins = made.folder / "plugins"
        (plugins / "works.py").write_text(f"open({str(trace)!r}, 'w').close()\n{WORKS}")
        reason = opening(plugins)
        refused = made.run("serve", check=False)
        assert refused.returncode == 78
        assert reason in refused.stderr and "plugin 'works'" in refused.stderr
        made.policy("version: 1\nplugins: {works: {optional: true}}\n")
        assert made.run("policy", "check").returncode == 0
        assert not trace.exists(), "refused, so not run either"
