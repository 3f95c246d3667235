"""`mailward metrics`: what the running server has counted."""

from mailward.cli.options import ConfigOption, JsonOption, config_of
from mailward.cli.output import NO_INPUT, fail, show
from mailward.formats.exposition import data_of, text_of
from mailward.net import queued
from mailward.net.local import PeerAway, Refusal


def metrics_command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Print what server and plugins count, for Prometheus.

    All processes are counted together, in the text format that Prometheus reads.

    Counters begin at 0 when the server is started, and go on when one of its processes is started again.

    Examples:

      mailward metrics

      mailward metrics > /var/lib/prometheus/node-exporter/mailward.prom

      mailward metrics --json
    """
    settings = config_of(config, quiet=True)
    try:
        families = queued.metrics(settings.queue_socket)
    except PeerAway as error:
        fail(f"no server answers: {error}; start it: mailward serve -c {settings.path}", NO_INPUT)
    except Refusal as error:
        fail(f"the server refused: {error}", NO_INPUT)
    show(lambda: text_of(families).rstrip("\n"), data_of(families), as_json=as_json)
