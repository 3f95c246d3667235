"""`mailward message`: how this server reads a message, for those who ask why a filter saw what it saw."""

from typing import Annotated

import typer

from mailward.cli.inspection import report_as_json, report_as_text, tree, tree_as_json
from mailward.cli.options import JsonOption
from mailward.cli.output import show
from mailward.cli.reading import message_file
from mailward.formats.message import MessageView

app = typer.Typer(help="Look into a message.", no_args_is_help=True)


@app.callback()
def main() -> None:
    """Keeps the group a group while it has one command."""


@app.command("inspect")
def inspect_command(
    file: Annotated[str, typer.Argument(help="A message (.eml); '-' reads standard input.")],
    only_tree: Annotated[bool, typer.Option("--tree", help="Only the tree of parts, with their places in octets.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print how a message is read. It shows its header fields, its tree of parts, its anomalies and every reading that scanners
    get.

    No server and no configuration is needed, and no filter is run; that is `mailward scan`.
    Part numbers are those of IMAP. Places are offsets in octets of the message as SMTP carries it, with CRLF line ends.

    Examples:

      mailward message inspect message.eml

      mailward message inspect message.eml --tree

      mailward message inspect - --json < message.eml
    """
    message = MessageView(message_file(file))
    if only_tree:
        show(lambda: tree(message), lambda: tree_as_json(message), as_json=as_json)
    else:
        show(lambda: report_as_text(message), lambda: report_as_json(message), as_json=as_json)
