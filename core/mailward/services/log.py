"""The structured log as one plugin sees it: every event carries the plugin's name."""

import structlog


class PluginLog:
    """`mailward.api.Log` over the server's log."""

    def __init__(self, plugin: str) -> None:
        self._log = structlog.get_logger("mailward.plugin").bind(plugin=plugin)

    def info(self, event: str, **values: str | int | float | bool | None) -> None:
        self._log.info(event, **values)

    def warning(self, event: str, **values: str | int | float | bool | None) -> None:
        self._log.warning(event, **values)
