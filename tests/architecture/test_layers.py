"""The shape of the code: layers, modules that stand alone, plugins that are registered."""

import json
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"mailward": ROOT / "core" / "mailward", "mailward_plugins": ROOT / "plugins" / "mailward_plugins"}


def modules() -> list[str]:
    found = []
    for package, folder in PACKAGES.items():
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            if parts[-1] == "__main__":
                continue  # running is what it does when it is imported
            found.append(".".join((package, *(parts[:-1] if parts[-1] == "__init__" else parts))))
    return found


def test_every_import_goes_down_and_plugins_reach_only_the_api() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_bundled_plugin_is_kept_apart_from_the_others() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (apart,) = [contract["modules"] for contract in contracts if contract["type"] == "independence"]
    plugins = {path.parent.name for path in PACKAGES["mailward_plugins"].glob("*/__init__.py")}
    assert set(apart) == {f"mailward_plugins.{name}" for name in plugins}


# A child that imports one module is forked off an interpreter that has imported nothing of ours; what others wrote is loaded
# before, once, because their modules are not what is tested. No child looks for garbage: it would go over all of them, again
# and again, for half of its time.
ALONE = """
import gc, importlib, json, os, sys, traceback
ours = ("mailward", "mailward_plugins")
names = json.load(sys.stdin)

def in_child(work):
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            text = work()
        except BaseException:
            text = "failed: " + traceback.format_exc()
        with os.fdopen(write, "w") as out:
            out.write(text or "")
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    return text

def foreign():
    for name in names:
        try:
            importlib.import_module(name)
        except BaseException:
            pass
    return json.dumps([m for m in sys.modules if m.partition(".")[0] not in ours])

def load(name):
    importlib.import_module(name)

for name in json.loads(in_child(foreign)):
    try:
        importlib.import_module(name)
    except BaseException:
        pass
assert not any(m.partition(".")[0] in ours for m in sys.modules)
gc.disable()
print(json.dumps({name: text for name in names if (text := in_child(lambda: load(name)))}))
"""


@pytest.mark.timeout(900)  # half a minute on a machine with nothing else to do
def test_every_module_imports_alone_in_a_fresh_interpreter() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        input=json.dumps(modules()), cwd=ROOT, capture_output=True, text=True, timeout=890, check=False,
        env={"PYTHONPATH": f"{ROOT / 'core'}:{ROOT / 'plugins'}", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    failures = json.loads(done.stdout)
    assert not failures, "\n".join(f"{name}: {text}" for name, text in failures.items())


def test_a_command_that_shows_no_policy_does_not_wait_for_what_reads_one() -> None:
    program = "import sys, mailward.cli.explain, mailward.cli.queue; sys.exit('mailward.policy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_every_folder_of_bundled_plugins_is_an_entry_point_of_its_name() -> None:
    folders = {
        f"{f.name} = mailward_plugins.{f.name}" for f in PACKAGES["mailward_plugins"].iterdir() if (f / "__init__.py").exists()
    }
    points = metadata.entry_points(group="mailward.plugins")
    assert {f"{p.name} = {p.value}" for p in points if p.value.startswith("mailward_plugins.")} == folders


def test_no_possessive_quantifier_stands_on_a_group() -> None:
    """Python before 3.11.5, Debian 12's among them, matches such patterns wrongly; on single characters it is right."""
    found = [
        f"{file}: {line.strip()}"
        for package in PACKAGES.values()
        for file in package.rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if any(quantifier in line for quantifier in (")*+", ")++", ")?+"))
    ]
    assert found == []
