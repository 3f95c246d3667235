"""`mailward account totp ...`: enrol, confirm, status, recovery, off. The secret is printed once and never logged."""

import io
from dataclasses import replace
from datetime import UTC, datetime

import pyotp
import segno

from mailward.api import AccountCommand, CommandAnswer, CommandCall, CommandFailed
from mailward_plugins.totp.enrolment import Enrolment, confirm, hashes_of, is_code, new_codes
from mailward_plugins.totp.keeping import change, kept
from mailward_plugins.totp.settings import TotpSettings

_CODES = "Recovery codes, each good for one login in place of a code. Keep them where your phone is not:"


async def enrol_command(call: CommandCall) -> CommandAnswer:
    """A new secret; what was in force stays so until this one is confirmed."""
    secret = pyotp.random_base32()
    was_active = await change(call.services.kv, call.account, lambda known: (replace(known, pending=secret), known.is_active))
    issuer = call.settings.issuer if isinstance(call.settings, TotpSettings) else None
    uri = pyotp.TOTP(secret).provisioning_uri(name=str(call.address), issuer_name=issuer)
    picture = io.StringIO()
    segno.make(uri, micro=False, error="l").terminal(picture, compact=True)
    text = (
        f"{picture.getvalue()}\n{uri}\nsecret: {secret}\n\n"
        f"Not active yet{'; until it is, the secret from before stays in force' if was_active else ''}. "
        f"Scan it with an authenticator app, then: mailward account totp confirm {call.address} CODE"
    )
    return CommandAnswer(text, {"address": str(call.address), "secret": secret, "uri": uri})


async def confirm_command(call: CommandCall) -> CommandAnswer:
    """Activate what was enrolled."""
    now = call.services.clock.now().timestamp()
    known = await kept(call.services.kv, call.account)
    if not known.pending:
        raise CommandFailed(f"nothing waits to be confirmed; begin with: mailward account totp enrol {call.address}")
    if not is_code(call.arguments["code"]):
        raise CommandFailed("a code has six digits, as the app shows them")
    codes = await change(call.services.kv, call.account, lambda e: confirm(e, call.arguments["code"], now))
    if not codes:
        raise CommandFailed("that is not the code for now; check that the clocks of both devices are right, and try the next one")
    call.services.log.info("totp activated", account=call.account)
    text = f"The second factor of {call.address} is active. Mail programs now need app passwords.\n\n{_listed(codes)}"
    return CommandAnswer(text, {"address": str(call.address), "active": True, "recovery_codes": list(codes)})


async def status_command(call: CommandCall) -> CommandAnswer:
    """What the account has."""
    known = await kept(call.services.kv, call.account)
    blocked = known.blocked_until > call.services.clock.now().timestamp()
    state = "active" if known.is_active else "waits to be confirmed" if known.pending else "off"
    lines = [f"second factor of {call.address}: {state}"]
    if known.is_active:
        lines.append(f"recovery codes left: {len(known.recovery)}")
    if known.is_active and known.pending:
        lines.append("a new secret waits to be confirmed")
    if blocked:
        until = datetime.fromtimestamp(known.blocked_until, UTC)
        lines.append(f"no code is looked at before {until:%Y-%m-%d %H:%M:%S} UTC: {known.failures} wrong ones came")
    data = {
        "address": str(call.address),
        "active": known.is_active,
        "pending": bool(known.pending),
        "recovery_codes_left": len(known.recovery),
        "failures": known.failures,
        "blocked": blocked,
    }
    return CommandAnswer("\n".join(lines), data)


async def recovery_command(call: CommandCall) -> CommandAnswer:
    """New recovery codes; it also ends a block, since whoever may do this may do anything."""
    codes = new_codes()

    def decide(known: Enrolment) -> tuple[Enrolment, bool]:
        if not known.is_active:
            return known, False
        return replace(known, recovery=hashes_of(codes), failures=0, blocked_until=0.0), True

    if not await change(call.services.kv, call.account, decide):
        raise CommandFailed(f"{call.address} has no second factor; begin with: mailward account totp enrol {call.address}")
    call.services.log.info("totp recovery renewed", account=call.account)
    return CommandAnswer(_listed(codes), {"address": str(call.address), "recovery_codes": list(codes)})


async def off_command(call: CommandCall) -> CommandAnswer:
    """Forget everything."""
    if not await change(call.services.kv, call.account, lambda known: (Enrolment(), known != Enrolment())):
        raise CommandFailed(f"{call.address} has no second factor")
    call.services.log.info("totp off", account=call.account)
    return CommandAnswer(f"second factor of {call.address} is off", {"address": str(call.address), "active": False})


def _listed(codes: tuple[str, ...]) -> str:
    return "\n".join([_CODES, *(f"  {code}" for code in codes)])


COMMANDS = (
    AccountCommand(
        "enrol",
        "Give an account a second factor. A secret and its QR code are printed. Nothing changes until it is confirmed.\n\n"
        "Example: mailward account totp enrol alice@example.org",
        enrol_command,
    ),
    AccountCommand(
        "confirm",
        "Activate the second factor with a code from the app. Ten recovery codes are printed.\n\n"
        "Example: mailward account totp confirm alice@example.org 123456",
        confirm_command,
        {"code": "The six digits the app shows now."},
    ),
    AccountCommand(
        "status",
        "Print whether an account has a second factor. It shows how many recovery codes are left, too.\n\n"
        "Example: mailward account totp status alice@example.org",
        status_command,
    ),
    AccountCommand(
        "recovery",
        "Print ten new recovery codes; the old ones are gone. Also ends the wait after wrong codes.\n\n"
        "Example: mailward account totp recovery alice@example.org",
        recovery_command,
    ),
    AccountCommand(
        "off",
        "Take the second factor away from an account.\n\nExample: mailward account totp off alice@example.org",
        off_command,
    ),
)
