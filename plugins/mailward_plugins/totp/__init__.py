"""TOTP: one-time codes from an authenticator app as the second factor (RFC 6238)."""

from collections.abc import Iterable

from mailward.api import AccountCommand, FactorAnswer, Identity, Plugin, Services, hookimpl
from mailward_plugins.totp.commands import COMMANDS
from mailward_plugins.totp.enrolment import Enrolment, judge
from mailward_plugins.totp.keeping import change, kept
from mailward_plugins.totp.settings import TotpSettings

plugin = Plugin(
    api=1,
    summary="One-time codes from an authenticator app as a second factor",
    settings=TotpSettings,
    capabilities=("credentials",),
)


@hookimpl
async def provide_second_factor(
    identity: Identity, code: str | None, settings: TotpSettings, services: Services
) -> FactorAnswer | None:
    """None when the account has not enrolled. Every way to log in that there is today is a mail program's."""
    if not (await kept(services.kv, identity.account)).is_active:
        return None
    if code is None:
        return "required"
    if not settings.code_after_password:
        return "refused"
    given, now = code, services.clock.now().timestamp()

    def decide(known: Enrolment) -> tuple[Enrolment, FactorAnswer]:
        return judge(known, given, now) if known.is_active else (known, "refused")

    answer = await change(services.kv, identity.account, decide)
    if answer == "refused":
        services.log.warning("second factor refused", account=identity.account)
    return answer


@hookimpl(inline=True)
def collect_commands() -> Iterable[AccountCommand]:
    """`mailward account totp ...`"""
    return COMMANDS
