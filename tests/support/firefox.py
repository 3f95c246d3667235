"""A real Firefox without a screen, steered by Marionette; it reaches this machine and nothing else."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from marionette_driver.by import By
from marionette_driver.errors import JavascriptException, NoSuchElementException, StaleElementException
from marionette_driver.keys import Keys
from marionette_driver.marionette import Marionette

from support.processes import free_port, listens, program

_NOWHERE = "http://127.0.0.1:9"
_SETTINGS: dict[str, object] = {
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.proxy.no_proxies_on": "127.0.0.1",
    "network.dns.disableIPv6": True,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": _NOWHERE,
    "app.update.enabled": False,
    "app.normandy.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "signon.rememberSignons": False,
}
LIMIT_S = 90.0


class Browser:
    """One window. What is named by a CSS selector is waited for."""

    def __init__(self, marionette: Marionette) -> None:
        self._marionette = marionette

    def opens(self, url: str) -> None:
        self._marionette.switch_to_frame()
        self._marionette.navigate(url)

    def runs(self, script: str, *arguments: object) -> Any:
        """What a script of the page returns."""
        return self._marionette.execute_script(script, script_args=arguments, sandbox=None)

    def until(self, true: Callable[[], Any], what: str) -> Any:
        """What it returned at last."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            with contextlib.suppress(JavascriptException, NoSuchElementException, StaleElementException):
                if answer := true():
                    return answer
            assert time.monotonic() < deadline, (
                f"the browser waits for {what} at {self._marionette.get_url()}:\n{self.text()[:3000]}"
            )
            time.sleep(0.1)

    def text(self) -> str:
        """All that can be read in the window or the frame."""
        return str(self.runs("return document.body ? document.body.innerText : ''"))

    def until_script(self, condition: str, *arguments: object) -> Any:
        """Until a condition in JavaScript holds."""
        return self.until(lambda: self.runs(f"return ({condition})", *arguments), condition)

    def element(self, selector: str) -> Any:
        """The first that can be seen."""
        return self.until(lambda: self._seen(selector), selector)

    def _seen(self, selector: str) -> Any:
        return next((one for one in self._marionette.find_elements(By.CSS_SELECTOR, selector) if one.is_displayed()), None)

    def clicks(self, selector: str) -> None:
        self.element(selector).click()

    def types(self, selector: str, text: str) -> None:
        """text: a line end is the Enter key."""
        element = self.element(selector)
        element.clear()
        element.send_keys(text.replace("\n", Keys.ENTER))

    def gives_file(self, selector: str, path: Path) -> None:
        """To an input for files, which need not be seen."""
        self.until(lambda: self._marionette.find_elements(By.CSS_SELECTOR, selector), selector)[0].send_keys(str(path))

    @contextlib.contextmanager
    def frame(self, selector: str) -> Iterator[None]:
        """Whatever is done within is done in this frame."""
        self._marionette.switch_to_frame(self.element(selector))
        try:
            yield
        finally:
            self._marionette.switch_to_frame()


@contextlib.contextmanager
def firefox() -> Iterator[Browser]:
    """A browser with a new profile, which is gone at the end."""
    profile = Path(tempfile.mkdtemp(prefix="mailward-firefox-"))
    port = free_port()
    lines = [f'user_pref("{name}", {_in_javascript(value)});' for name, value in {**_SETTINGS, "marionette.port": port}.items()]
    (profile / "user.js").write_text("\n".join(lines) + "\n")
    command = [program("firefox-esr", "firefox-esr"), "--headless", "--marionette", "--no-remote", "--profile", str(profile)]
    with (profile / "output.log").open("wb") as output:
        process = subprocess.Popen(
            command, env={**os.environ, "HOME": str(profile), "MOZ_HEADLESS": "1"},
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + LIMIT_S
        while not listens(port):
            assert process.poll() is None and time.monotonic() < deadline, (profile / "output.log").read_text()[-2000:]
            time.sleep(0.1)
        marionette = Marionette("127.0.0.1", port=port)
        marionette.start_session({"strictFileInteractability": False})
        marionette.timeout.script = marionette.timeout.page_load = LIMIT_S
        marionette.set_window_rect(width=1400, height=1000)
        yield Browser(marionette)
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(profile, ignore_errors=True)


def _in_javascript(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)
