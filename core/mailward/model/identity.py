"""Who has logged in, and by what secret."""

from dataclasses import dataclass

from mailward.model.ids import AccountId


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who has proved to be the owner of an account.

    user: the account's own address. groups: it belongs to, by whoever checked the login; from MAIL on by the directory too.
    second_factor: one was given with this login. app_password: the name of the app password that was used, "" for the main
    password. credential: names the secret, so that it can be asked later whether it is still good; "" where nobody can tell.
    """

    account: AccountId
    user: str
    groups: tuple[str, ...] = ()
    second_factor: bool = False
    app_password: str = ""
    credential: str = ""
