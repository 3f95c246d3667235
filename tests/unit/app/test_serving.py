"""Which process serves a data folder: told by the kernel, so never by a pid that somebody else has by now."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mailward.app.config_file import load_config
from mailward.app.serving import is_served, serving_lock, signal_server
from mailward.model.errors import ConfigError
from support.installation import installation

SERVE = """
import signal, sys, os
from pathlib import Path
from mailward.app.config_file import load_config
from mailward.app.serving import serving_lock
signal.signal(signal.SIGHUP, lambda *_: print("told", flush=True))
with serving_lock(load_config(Path(sys.argv[1]))):
    if os.fork() == 0:
        signal.pause()  # a worker that outlives its supervisor
        os._exit(0)
    print("serving", flush=True)
    while True:
        signal.pause()
"""


def test_the_one_who_serves_is_told_and_nobody_else(tmp_path: Path) -> None:
    config = load_config(installation(tmp_path))
    assert signal_server(config, signal.SIGHUP) is None and not is_served(config)
    serving = subprocess.Popen([sys.executable, "-c", SERVE, config.path], stdout=subprocess.PIPE, start_new_session=True)
    assert serving.stdout is not None
    try:
        assert serving.stdout.readline() == b"serving\n"
        with pytest.raises(ConfigError, match=f"served already, by process {serving.pid}"), serving_lock(config):
            pass
        assert is_served(config) and signal_server(config, signal.SIGHUP) == serving.pid
        assert serving.stdout.readline() == b"told\n"
        serving.kill()
        serving.wait(10)
        assert signal_server(config, signal.SIGHUP) is None and not is_served(config)
        with serving_lock(config):
            pass
    finally:
        os.killpg(serving.pid, signal.SIGKILL)
        serving.wait(10)
        serving.stdout.close()
