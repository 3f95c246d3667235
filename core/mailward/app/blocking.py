"""Which plugin blocks a worker? Found in what `faulthandler` writes of its threads."""

import re

from mailward.pipeline.plugins import PluginHost

_THREAD = re.compile(r"(?:Current thread|Thread) 0x[0-9a-f]+ .*\n((?:  File .*\n?)*)")
_FILE = re.compile(r'  File "(.*?)", line')
_LOOP = re.compile(r"/asyncio/(?:runners|base_events|events)\.py$|/uvloop/__init__\.py$")


def blocker(host: PluginHost, whereabouts: str) -> str | None:
    """The plugin that runs on the event loop; when none does there, the only one that runs in any thread; else None.

    A thread can hold up the loop as well, by holding the interpreter's lock; of several it is not known which one does.
    """
    threads = [_FILE.findall(one) for one in _THREAD.findall(whereabouts)]
    homes = host.homes()
    for files in threads:
        if any(_LOOP.search(file) for file in files) and (found := _innermost(homes, files)):
            return found
    running = {found for files in threads if (found := _innermost(homes, files))}
    return running.pop() if len(running) == 1 else None


def _innermost(homes: dict[str, str], files: list[str]) -> str | None:
    """The most recent call comes first."""
    return next((name for file in files for name, home in homes.items() if file == home or file.startswith(home + "/")), None)
