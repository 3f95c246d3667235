"""`mailward reload`: the running server reads policies, plugins and certificate again."""

import signal

from mailward.app.readiness import check_ready, idle_routes, warnings_of
from mailward.app.serving import signal_server
from mailward.cli.options import ConfigOption, JsonOption, config_of
from mailward.cli.output import NO_INPUT, fail, show, warn


def reload_command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Read policies, plugins and certificate again, all or nothing.

    They are checked, and then the running server reads them, and the script of `imapsieve:` where there is one.

    Exits 78 when there is a mistake, and the server is not bothered with it. Other changes of mailward.yaml need a restart;
    the server's log names them.

    Example: mailward reload
    """
    settings = config_of(config)
    warnings = [text for policy in check_ready(settings).policies.values() for text in warnings_of(settings, policy)]
    for text in warnings:
        warn(text)
    for domain in idle_routes(settings):
        warn(f"routes.{domain} does nothing: the domain is served here, so its mail goes into mailboxes")
    pid = signal_server(settings, signal.SIGHUP)
    if pid is None:
        fail(f"no server runs on {settings.data}; start it: mailward serve -c {settings.path}", NO_INPUT)
    told = (
        f"process {pid} was told to reload policies, plugins, certificate and what `imapsieve:` names; its log says how it went; "
        "what else was changed, such as routes, outbound and listeners, needs a restart"
    )
    show(told, {"pid": pid, "warnings": warnings}, as_json=as_json)
