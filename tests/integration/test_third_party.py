"""Filters that others make: as a package installed by pip into an environment of its own, and as the same file dropped in.

The packages are what `mailward plugins new` writes, what a reader of the tutorial types, and a bundled plugin that has moved out; the
environment holds this project's wheel, theirs, and nothing of the checkout.
"""

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

from support.reader import blocks, page_text
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
    pip: list[str | Path] = [folder / "venv/bin/python", "-m", "pip", "--disable-pip-version-check", "-q"]
    wheels = folder / "wheels"
    run(*pip, "wheel", "--no-deps", "-w", wheels, ROOT, folder / "acme-dlp", folder / "acme-spy", cwd=folder)
    (own,) = wheels.glob("mailward-*.whl")
    run(*pip, "install", "-c", ROOT / "constraints.txt", f"{own}[testing]", cwd=folder)
    run(*pip, "install", "--no-deps", *sorted(wheels.glob("acme_*.whl")), cwd=folder)
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
    record = made.decision()
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
    explained = installed.explain()
    assert explained.startswith("REJECT  demo@example.test   rule long-subject (policies/inbound.yaml:7:5)")
    assert re.search(r"acme_dlp .* ACME_DLP_LONG_SUBJECT +\+1\.0  the subject has 160 characters", explained)
    assert "acme-dlp 0.1.0" in installed.run("plugins", "list").stdout


def test_it_runs_from_its_own_environment(installed: Server, environment: Environment) -> None:
    python = Path(environment.command).with_name("python")
    where = run(python, "-c", "import mailward, acme_dlp; print(mailward.__file__, acme_dlp.__file__)")
    assert where.count("/site-packages/") == 2 and str(ROOT) not in where


def test_one_plugin_looks_at_a_file_where_there_is_no_server(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "long.eml").write_bytes(f"From: a@sender.invalid\r\nSubject: {SUBJECT}\r\n\r\ntext\r\n".encode())
    said = run(environment.command, "scan", "long.eml", "--plugin", "acme_dlp", cwd=tmp_path)
    assert re.search(r"acme_dlp .* ACME_DLP_LONG_SUBJECT +\+1\.0  the subject has 160 characters", said)
    assert [call for call in ("antivirus", "spf", "spam") if call in said] == []


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


# The tutorial

PAGE = "tutorials/a-filter-as-a-package.md"


def lines_of(block: str) -> list[str]:
    return re.findall(r"^\$ (.*)$", block, re.MULTILINE)


def test_the_tutorial_makes_a_package_and_the_same_file_dropped_in(environment: Environment, tmp_path: Path) -> None:
    module, tests = blocks(PAGE, "python")
    (policy,) = blocks(PAGE, "yaml")
    new, pytest_alone, scan, build, install, enable, see, drop_in = map(lines_of, blocks(PAGE, "console"))
    assert "pip install 'mailward[testing]'" in page_text(PAGE), "which the fixture has done, from a wheel"
    work = open_folder()
    with server(start=False, command=environment.command) as made:
        made.start()
        folder = work

        def types(line: str, code: int = 0) -> str:
            bin_folder = Path(environment.command).parent
            done = subprocess.run(
                ["sh", "-c", line.replace("/etc/mailward", str(made.folder))],
                cwd=folder, capture_output=True, text=True, timeout=280, check=False,
                env={"PATH": f"{bin_folder}:/usr/bin:/bin", "HOME": str(work), "MAILWARD_CONFIG": str(made.config), "COLUMNS": "200"},
            )  # fmt: skip
            assert done.returncode == code, f"{line}: exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
            return done.stdout

        assert new[1] == "cd acme-cards"
        types(new[0])
        folder = work / "acme-cards"
        (folder / "acme_cards.py").write_text(module)
        (folder / "tests/test_acme_cards.py").write_text(tests)
        (alone,) = pytest_alone
        tested = types(alone)
        assert re.search(r"(?m)^acme_cards: Mailward API 1 conformance: 14 of 14 passed, ", tested), tested
        assert re.search(r"\d+ passed", tested) and "failed" not in tested
        types(scan[0])
        assert re.search(r"ACME_CARDS +\+3\.0", types(scan[1]))
        (builds,) = build
        types(builds)
        types(install[0])
        informed = types(install[1])
        assert "acme-cards 0.1.0" in informed and "not enabled" in informed and "body" in informed
        made.policy(policy)
        assert "sound" in types(enable[0])
        types(enable[1])
        assert types(see[0], code=1).startswith("554 5.7.1 Please do not send card numbers by mail (1 found)")
        explained = types(see[1])
        assert "rule no-cards-by-mail (policies/inbound.yaml:6:5)" in explained
        assert re.search(r"acme_cards .* ACME_CARDS +\+3\.0  1 payment-card numbers in the text", explained)
        for line in drop_in[:3]:
            types(line)
        assert types(drop_in[3], code=1).startswith("554 5.7.1 Please do not send card numbers by mail (1 found)")
        assert "plugins/acme_cards.py" in types(drop_in[4])
    shutil.rmtree(work)


# A bundled plugin that has moved out

MOVED = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "mailward-greylist"
version = "7.0"
dependencies = ["mailward"]

[project.entry-points."mailward.plugins"]
greylist = "mailward_plugins.greylist"

[tool.hatch.build.targets.wheel]
packages = ["mailward_plugins"]
"""
GREYLISTS = """\
version: 1
extends: mailward/inbound
plugins: {antivirus: {engine: test-file}, greylist: {exempt: []}}
rules: [{name: come-again, when: greylist.early, then: tempfail, reply: "451 4.7.1 Come again in {greylist.wait_s} seconds"}]
"""


@pytest.fixture
def without_greylist(environment: Environment) -> Iterator[str]:
    """The command of an environment like that one, in which the plugin greylist is its own distribution and not bundled."""
    folder = open_folder()
    run(getattr(sys, "_base_executable", sys.executable), "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    source = next(Path(environment.command).parents[1].glob("lib/python*/site-packages"))
    target = folder / "venv" / source.relative_to(Path(environment.command).parents[1])
    shutil.rmtree(target)
    shutil.copytree(source, target)
    package = folder / "mailward-greylist"
    shutil.move(target / "mailward_plugins/greylist", package / "mailward_plugins/greylist")
    (package / "pyproject.toml").write_text(MOVED)
    (points,) = target.glob("mailward-*.dist-info/entry_points.txt")
    points.write_text("".join(line for line in points.read_text().splitlines(keepends=True) if not line.startswith("greylist")))
    command = folder / "venv/bin/mailward"
    command.write_text(f"#!{folder}/venv/bin/python\nfrom mailward.cli import main\nmain()\n")
    command.chmod(0o755)
    with server(policy=GREYLISTS, start=False, command=str(command)) as before:
        assert "greylist" in before.run("policy", "check", check=False).stderr, "it is gone"
    pip: list[str | Path] = [Path(environment.command).with_name("python"), "-m", "pip", "--disable-pip-version-check", "-q"]
    run(*pip, "--python", folder / "venv/bin/python", "install", "--no-deps", package, cwd=folder)
    yield str(command)
    shutil.rmtree(folder)


def test_a_bundled_plugin_moves_out_into_its_own_distribution_unchanged(without_greylist: str) -> None:
    with server(policy=GREYLISTS, command=without_greylist) as made:
        assert re.search(r"(?m)^greylist .*mailward-greylist 7\.0", made.run("plugins", "list").stdout)
        code, text = made.send(b"From: a@sender.invalid\r\nTo: demo@example.test\r\nSubject: x\r\n\r\ntext\r\n")
        assert code == 451 and text.startswith("4.7.1 Come again in 300 seconds"), text
        record = made.decision()
        (call,) = [call for call in record["calls"] if call["plugin"] == "greylist"]
        assert (call["version"], call["findings"][0]["symbol"]) == ("7.0", "GREYLIST_EARLY")
        assert made.run("policy", "check").returncode == 0


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
        record = made.decision()
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
        assert "FAILED" in made.explain()


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
