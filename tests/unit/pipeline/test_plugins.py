"""Which plugins are found and loaded, and what is said about those that are not."""

from pathlib import Path

import pytest

from mailward.model.errors import PluginError
from mailward.pipeline.plugins import PluginHost
from support.plugin_modules import plugin_module

HOOK = "@hookimpl\ndef inspect_message(message):\n    return None\n"


def load(body: str, **keywords: str):  # type: ignore[no-untyped-def]
    return PluginHost(modules={"mine": plugin_module("mine", body, **keywords)}).load("mine")


def test_the_way_a_hook_is_called_follows_from_how_it_is_written() -> None:
    loaded = load(
        "@hookimpl\nasync def inspect_mail(envelope, session): ...\n" + HOOK + "@hookimpl(inline=True)\ndef on_moved(): ...\n"
    )
    ways = {name: (hook.way, hook.arguments) for name, hook in loaded.implementations.items()}
    assert ways == {
        "inspect_mail": ("loop", ("envelope", "session")),
        "inspect_message": ("thread", ("message",)),
        "on_moved": ("inline", ()),
    }


def test_an_argument_with_a_default_is_the_plugins_own() -> None:
    assert load("@hookimpl\ndef inspect_message(message, patience=3): ...\n").implementations["inspect_message"].arguments == (
        "message",
    )


WRONG = {
    "an unknown hook": (
        "@hookimpl\ndef inspect_mesage(message): ...\n",
        "there is no hook 'inspect_mesage'. Did you mean 'inspect_message'?",
    ),
    "an unknown argument": (
        "@hookimpl\ndef inspect_message(mesage): ...\n",
        "asks for the argument 'mesage'.*Did you mean 'message'?",
    ),
    "all arguments": ("@hookimpl\ndef inspect_message(**everything): ...\n", "must name its arguments plainly"),
    "an async generator": ("@hookimpl\nasync def inspect_message(): yield 1\n", "async generator"),
    "async and inline": ("@hookimpl(inline=True)\nasync def inspect_message(): ...\n", "both async and inline"),
    "a forgotten mark": ("def inspect_message(message): ...\n", "inspect_message is not marked; write @hookimpl"),
    "no hook": ("", "implements no hook; the hooks are inspect_auth"),
    "another api": (HOOK + "plugin = Plugin(api=2, summary='')\n", "written for api 2; this server offers api 1"),
    "a small symbol": (
        HOOK + "plugin = Plugin(api=1, summary='', symbols={'seen': Symbol(1, '')})\n",
        "symbol 'seen' must be capitals",
    ),
    "points that are no number": (
        HOOK + "plugin = Plugin(api=1, summary='', symbols={'SEEN': Symbol('1', 'x')})\n",
        r"symbol 'SEEN' needs Symbol\(points, description\), a number and a text",
    ),
    "points that no score could hold": (
        HOOK + "plugin = Plugin(api=1, summary='', symbols={'SEEN': Symbol(float('nan'), 'x')})\n",
        "symbol 'SEEN' needs",
    ),
    "points without a Symbol": (HOOK + "plugin = Plugin(api=1, summary='', symbols={'SEEN': 1.0})\n", "symbol 'SEEN' needs"),
    "symbols in a list": (HOOK + "plugin = Plugin(api=1, summary='', symbols=['SEEN'])\n", "symbols maps names to Symbols"),
    "a summary that is no text": (HOOK + "plugin = Plugin(api=1, summary=None)\n", "summary and version are texts"),
    "no declaration": (HOOK + "plugin = None\n", "must carry `plugin = Plugin"),
    "facts of another kind": (HOOK + "plugin = Plugin(api=1, summary='', facts=dict)\n", "derived from mailward.api.Facts"),
    "facts without @dataclass": (
        HOOK + "class F(Facts):\n    n: int = 0\nplugin = Plugin(api=1, summary='', facts=F)\n",
        r"F needs @dataclass\(frozen=True\)",
    ),
    "settings without a default": (
        HOOK + "@dataclass(frozen=True)\nclass S(Settings):\n    n: int\nplugin = Plugin(api=1, summary='', settings=S)\n",
        "S.n needs a default",
    ),
    "a fact no rule could read": (
        HOOK + "@dataclass(frozen=True)\nclass F(Facts):\n    n: object = None\nplugin = Plugin(api=1, summary='', facts=F)\n",
        "the fact 'n' has the default None",
    ),
    "a capability nobody knows": (
        HOOK + "plugin = Plugin(api=1, summary='', capabilities=('body', 'root'))\n",
        "there is no capability 'root'; body, edits, network, files, credentials were expected",
    ),
    "a capability alone": (HOOK + "plugin = Plugin(api=1, summary='', capabilities='body')\n", "must be a tuple"),
    "the body undeclared": (
        HOOK + "plugin = Plugin(api=1, summary='')\n",
        r"inspect_message needs 'body'; write capabilities=\('body',\) in its Plugin",
    ),
    "several undeclared": (
        "@hookimpl\ndef edit_message(message): ...\n@hookimpl\ndef provide_identity(): ...\n"
        "plugin = Plugin(api=1, summary='', capabilities=('network',))\n",
        r"edit_message needs 'body' and 'edits', provide_identity needs 'credentials'; "
        r"write capabilities=\('body', 'edits', 'network', 'credentials',\)",
    ),
    "the core's fact": (
        HOOK + "@dataclass(frozen=True)\nclass F(Facts):\n    status: str = ''\nplugin = Plugin(api=1, summary='', facts=F)\n",
        "the fact name 'status' belongs to the core",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_plugin_that_breaks_the_rules_is_refused_with_the_reason(mistake: str) -> None:
    body, text = WRONG[mistake]
    with pytest.raises(PluginError, match=f"(?s)plugin 'mine': .*{text}"):
        load(body)


def test_every_mistake_of_a_plugin_is_told_at_once() -> None:
    with pytest.raises(PluginError, match=r"(?s)inspect_mai'.*mesage"):
        load("@hookimpl\ndef inspect_mai(): ...\n@hookimpl\ndef inspect_message(mesage): ...\n")


def test_a_name_that_nobody_has_gets_the_nearest() -> None:
    with pytest.raises(PluginError, match=r"plugin 'mein': is not installed.* Did you mean 'mine'\?"):
        PluginHost(modules={"mine": plugin_module("mine", HOOK)}).load("mein")


# --- drop-ins ---

SOURCE = """
from mailward.api import Finding, Plugin, hookimpl
plugin = Plugin(api=1, summary="dropped in", capabilities=("body",))

@hookimpl
def inspect_message(message):
    return Finding(None, "seen")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A plugin folder as it should be."""
    made = tmp_path / "etc" / "plugins"
    made.mkdir(parents=True, mode=0o755)
    drop(made, "mine")
    return made


def drop(folder: Path, name: str, source: str = SOURCE) -> Path:
    file = folder / f"{name}.py"
    file.write_text(source)
    file.chmod(0o644)
    return file


def test_a_drop_in_is_a_plugin_like_any_other(folder: Path) -> None:
    loaded = PluginHost(folder).load("mine")
    assert loaded.origin == str(folder / "mine.py")
    assert set(loaded.implementations) == {"inspect_message"}


def test_t_plug_02_installed_is_not_enabled(folder: Path) -> None:
    drop(folder, "trap", "raise SystemExit('ran')")
    host = PluginHost(folder)
    assert {"mine", "trap", "spf"} <= {available.name for available in host.available()}
    assert set(host.enable(["mine"])) == {"mine"}


@pytest.mark.parametrize("source", ["raise SystemExit(3)", "import a_module_nobody_has", "def (", "1 / 0", "x = '\0'"])
def test_t_plug_01_a_broken_drop_in_is_refused_and_an_optional_one_left_out(folder: Path, source: str) -> None:
    drop(folder, "broken", source)
    with pytest.raises(PluginError, match=r"plugin 'broken': cannot be loaded from .*broken.py: "):
        PluginHost(folder).enable(["mine", "broken"])
    assert set(PluginHost(folder).enable(["broken", "mine", "absent"], optional={"broken", "absent"})) == {"mine"}


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666, 0o622])
def test_t_plug_01_a_file_that_others_can_write_is_refused(folder: Path, mode: int) -> None:
    (folder / "mine.py").chmod(mode)
    with pytest.raises(PluginError, match=r"mine\.py can be written by others \(mode 6..\); chmod go-w"):
        PluginHost(folder).load("mine")


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_t_plug_01_a_folder_above_that_others_can_write_is_refused(folder: Path, level: int, mode: int) -> None:
    above = [folder, *folder.parents][level]
    above.chmod(mode)
    with pytest.raises(PluginError, match=f"{above} can be written by others"):
        PluginHost(folder).load("mine")


def test_t_plug_01_a_sticky_folder_may_stand_above_but_not_hold_plugins(folder: Path) -> None:
    folder.parent.chmod(0o1777)
    if folder.stat().st_uid == 0:
        PluginHost(folder).load("mine")
    folder.chmod(0o1777)
    with pytest.raises(PluginError, match="can be written by others"):
        PluginHost(folder).load("mine")


def test_t_plug_01_only_root_and_the_service_user_may_own_a_plugin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if folder.stat().st_uid == 0:
        import os

        os.chown(folder / "mine.py", 12345, 12345)
        with pytest.raises(PluginError, match=r"mine\.py belongs to uid 12345"):
            PluginHost(folder).load("mine")
        os.chown(folder.parent, 12345, 12345)
        with pytest.raises(PluginError, match=r"etc belongs to uid 12345"):
            PluginHost(folder, service_uid=1).load("mine")
        PluginHost(folder, service_uid=12345).load("mine")
    else:
        with pytest.raises(PluginError, match="belongs to uid"):
            PluginHost(folder, service_uid=folder.stat().st_uid + 1).load("mine")


def test_t_plug_01_links_are_not_followed(folder: Path, tmp_path: Path) -> None:
    (folder / "linked.py").symlink_to(folder / "mine.py")
    with pytest.raises(PluginError, match=r"linked\.py is a symbolic link"):
        PluginHost(folder).load("linked")
    other = tmp_path / "other"
    other.symlink_to(folder)
    with pytest.raises(PluginError, match="other is a symbolic link"):
        PluginHost(other).load("mine")


def test_t_plug_01_what_is_no_python_file_is_no_plugin(folder: Path) -> None:
    import os

    (folder / "compiled.pyc").write_bytes(b"")
    (folder / ".hidden.py").write_text(SOURCE)
    (folder / "Upper.py").write_text(SOURCE)
    (folder / "package").mkdir()
    (folder / "folder.py").mkdir()
    os.mkfifo(folder / "pipe.py")
    host = PluginHost(folder)
    found = {available.name for available in host.available()}
    assert found.isdisjoint({"compiled", "hidden", ".hidden", "Upper", "package"})
    for name in ("folder", "pipe"):
        with pytest.raises(PluginError, match="is not a regular file"):
            host.load(name)


def test_t_plug_01_compiled_files_beside_a_drop_in_are_not_read(folder: Path) -> None:
    cache = folder / "__pycache__"
    cache.mkdir()
    (cache / "mine.cpython-311.pyc").write_bytes(b"not what was checked")
    assert PluginHost(folder).load("mine").declaration.summary == "dropped in"


def test_a_folder_that_does_not_exist_holds_no_plugins(tmp_path: Path) -> None:
    assert "spf" in {available.name for available in PluginHost(tmp_path / "absent").available()}


def test_t_plug_02_two_plugins_of_one_name_are_refused(folder: Path) -> None:
    drop(folder, "spf")
    host = PluginHost(folder)
    with pytest.raises(PluginError, match=r"plugin 'spf': two plugins have this name: .*spf\.py and mailward"):
        host.load("spf")
    (shown,) = [available for available in host.available() if available.name == "spf"]
    assert shown.problem.startswith("two plugins")


def test_an_installed_package_is_found_and_its_broken_sibling_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, source in (("acme_fine", SOURCE), ("acme_sad", "raise SystemExit")):
        (tmp_path / f"{name}.py").write_text(source)
        info = tmp_path / f"{name}-1.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.5\n")
        (info / "entry_points.txt").write_text(f"[mailward.plugins]\n{name} = {name}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    host = PluginHost()
    fine = host.load("acme_fine")
    assert (fine.origin, fine.version) == ("acme-fine 1.5", "1.5")
    with pytest.raises(PluginError, match=r"plugin 'acme_sad': cannot be loaded from acme-sad 1.5: SystemExit"):
        host.load("acme_sad")
