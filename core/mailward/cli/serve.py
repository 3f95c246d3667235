"""`mailward serve`: run the server in the foreground until SIGTERM or Ctrl-C."""

import typer

from mailward.app.config_file import find_config
from mailward.app.logs import configure_logs
from mailward.app.roles import serve
from mailward.cli.options import ConfigOption
from mailward.cli.output import tell


def serve_command(config: ConfigOption = None) -> None:
    """Run the server in the foreground; logs go to standard output.

    Started as root, it binds its ports and then becomes the configuration's `user:` for good.
    SIGHUP reloads policies, plugins and certificate, all or nothing, as mailward reload does; SIGTERM finishes what has begun
    and stops.

    Example: mailward serve -c /etc/mailward/mailward.yaml
    """
    found = find_config(config)
    tell(f"configuration: {found}")
    configure_logs(serving=True)
    raise typer.Exit(serve(found))
