"""What an admin may set for the totp plugin."""

from dataclasses import dataclass

from mailward.api import Settings


@dataclass(frozen=True)
class TotpSettings(Settings):
    """issuer: what authenticator apps show above the code.

    code_after_password: mail programs may send the code behind the password; else an account with a second factor needs app
    passwords there. Programs log in again and again by themselves, and a code is good for one login only.
    """

    issuer: str = "Mailward"
    code_after_password: bool = False
