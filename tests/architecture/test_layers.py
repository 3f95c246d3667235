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


# Each module is imported in a child of its own that has imported nothing of ours but what the module needs anyway: the child is
# forked off the one of what it needs most of, unless that needs the module too (in a circle it matters where one enters). What
# needs what is seen by importing everything once. What others wrote is loaded before: their modules are not what is tested. No
# child looks for garbage: it would go over all of them, again and again, for half of its time.
ALONE = """
import builtins, gc, importlib, importlib.util, json, os, sys, traceback
ours = ("mailward", "mailward_plugins")
names = json.load(sys.stdin)

def forked(work):
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    os.waitpid(pid, 0)

def failure(name):
    try:
        importlib.import_module(name)
    except BaseException:
        return traceback.format_exc()

def survey(out):
    needs = {name: [name.rpartition(".")[0]] if "." in name else [] for name in names}
    usual = builtins.__import__
    def record(name, of=None, within=None, chosen=(), level=0):
        importer = (of or {}).get("__name__")
        if importer in needs:
            target = importlib.util.resolve_name("." * level + name, of["__package__"]) if level else name
            needs[importer] += [n for n in (target, *(f"{target}.{one}" for one in chosen or ())) if n in needs]
        return usual(name, of, within, chosen, level)
    builtins.__import__ = record
    for name in names:
        failure(name)
    with os.fdopen(out, "w") as file:
        json.dump([needs, [m for m in sys.modules if m.partition(".")[0] not in ours]], file)

read, write = os.pipe()
if os.fork() == 0:
    survey(write)
    os._exit(0)
os.close(write)
with os.fdopen(read) as file:
    needs, foreign = json.load(file)
os.wait()
for name in foreign:
    failure(name)
assert not any(m.partition(".")[0] in ours for m in sys.modules)
gc.disable()

def everything(name):
    seen, todo = set(), [name]
    while todo:
        if (one := todo.pop()) not in seen:
            seen.add(one)
            todo += needs[one]
    return seen

needed = {name: everything(name) for name in names}
children = {name: [] for name in [None, *names]}
for name in names:
    below = [one for one in needed[name] if name not in needed[one]]
    children[max(below, key=lambda one: len(needed[one]), default=None)].append(name)

def grow(name):
    os.write(1, json.dumps([name, failure(name)]).encode() + b"\\n")
    for child in children[name]:
        forked(lambda: grow(child))

for name in children[None]:
    forked(lambda: grow(name))
"""


@pytest.mark.timeout(900)  # seconds on a machine with nothing else to do
def test_every_module_imports_alone_in_a_fresh_interpreter() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        input=json.dumps(modules()), cwd=ROOT, capture_output=True, text=True, timeout=890, check=False,
        env={"PYTHONPATH": f"{ROOT / 'core'}:{ROOT / 'plugins'}", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    failures = dict(map(json.loads, done.stdout.splitlines()))
    assert failures.keys() == set(modules()), done.stderr
    assert not any(failures.values()), "\n".join(f"{name}: {text}" for name, text in failures.items() if text)


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
