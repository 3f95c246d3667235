"""How do the plugins that learn hear what a person says of a message? For commands, which wait until all have heard.

Hooks that watch answer nothing, so what a plugin makes of it, or whether it knew it, only the plugin can tell.
"""

from mailward.api.learning import MessageClassified
from mailward.app.config import Config
from mailward.app.filters import load_filters
from mailward.app.judging import PluginServices
from mailward.pipeline.enabling import chain_of
from mailward.pipeline.events import Events


class Learning:
    """The plugins of the inbound policy that learn; `learners` names them.

    Raises ConfigError when policy or plugins cannot be used.
    """

    def __init__(self, config: Config) -> None:
        filters = load_filters(config)
        self._services = PluginServices(config)
        chain = chain_of(filters.policies["inbound"], filters.host, self._services.of)
        self.learners = tuple(one.name for one in chain.enforced("on_classified"))
        self._events = Events(lambda: chain)

    async def classified(self, classified: MessageClassified) -> bool:
        """Tell them of one message; False when one failed. One at a time: two at once could count the same message twice."""
        failed = self._events.failed
        self._events.classified(classified)
        await self._events.drain()
        return self._events.failed == failed

    async def close(self) -> None:
        await self._events.stop()
        self._services.close()
