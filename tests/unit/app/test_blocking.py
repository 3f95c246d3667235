"""Whose fault is a blocked loop? Found in the words of `faulthandler`."""

from pathlib import Path

from mailward.app.blocking import blocker
from mailward.pipeline.plugins import PluginHost
from support.plugin_modules import plugin_file

LOOP = '  File "/usr/lib/python3.11/asyncio/base_events.py", line 636 in run_until_complete\n'


def host(folder: Path) -> PluginHost:
    hook = "@hookimpl\nasync def inspect_mail(): ...\n"
    made = PluginHost(modules={name: plugin_file(folder, name, hook) for name in ("slow", "other")})
    made.enable(["slow", "other", "spam"])
    return made


def thread(*files: str, current: bool = False) -> str:
    head = "Current thread" if current else "Thread"
    lines = "".join(f'  File "{file}", line 7 in work\n' for file in files)
    return f"{head} 0x00007f0c (most recent call first):\n{lines}"


def test_t_plug_03_the_plugin_on_the_loop_is_blamed(tmp_path: Path) -> None:
    found = host(tmp_path)
    busy = thread(str(tmp_path / "other.py"))
    assert (
        blocker(found, busy + "\n" + thread("/usr/lib/python3.11/re.py", str(tmp_path / "slow.py"), current=True) + LOOP)
        == "slow"
    )


def test_a_package_is_known_by_its_folder(tmp_path: Path) -> None:
    found = host(tmp_path)
    home = found.homes()["spam"]
    assert blocker(found, thread(f"{home}/tokens.py", current=True) + LOOP) == "spam"
    assert blocker(found, thread(f"{home}_more/tokens.py", current=True) + LOOP) is None


def test_a_thread_that_holds_the_interpreter_is_blamed_when_it_is_the_only_one(tmp_path: Path) -> None:
    found = host(tmp_path)
    loop = thread("/usr/lib/python3.11/selectors.py", current=True) + LOOP
    assert blocker(found, thread(str(tmp_path / "slow.py")) + "\n" + loop) == "slow"
    assert blocker(found, thread(str(tmp_path / "slow.py")) + "\n" + thread(str(tmp_path / "other.py")) + "\n" + loop) is None


def test_nobody_is_blamed_for_what_the_server_did(tmp_path: Path) -> None:
    found = host(tmp_path)
    for words in ("", "rubbish", thread("/mailward/queue/spool.py", current=True) + LOOP):
        assert blocker(found, words) is None
