"""`mailward tls`: how well mail is protected on its way."""

import typer

from mailward.cli.plugin_group import ServerGroup

app = typer.Typer(cls=ServerGroup, help="How well mail is protected on its way.", no_args_is_help=True)


@app.callback()
def _group() -> None: ...
