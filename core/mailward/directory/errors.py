"""What goes wrong when the directory is to be changed."""

from mailward.model.errors import MailwardError


class DirectoryError(MailwardError):
    """What was asked cannot be done; the text says why."""
