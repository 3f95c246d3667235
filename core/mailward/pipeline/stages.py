"""Which hook is called at which stage of a message's life? One table; nothing else knows it.

Limits are here too, because a stage is what they limit (design section 7).
"""

from dataclasses import dataclass

MESSAGE_STAGE_S = 120.0
"""All hooks of the message stage together; past it the peer gets 451 and tries again."""

COMMAND_STAGE_S = 60.0
"""All hooks of one SMTP command together: a peer waits 5 minutes for the reply to MAIL (RFC 5321 section 4.5.3.2.2)."""

AUTH_STAGE_S = 30.0
"""All plugins of one hook around one login together."""

RELAY_STAGE_S = 120.0
"""All plugins of one hook around one outbound attempt together; past it the attempt is made later."""

DELIVER_STAGE_S = 30.0
"""All plugins of one hook before a copy is stored together; past it the copy is tried later."""

LIFE_STAGE_S = 10.0
"""One `collect_*` hook that a command or the start of the server waits for."""

DAY_S = 120.0
"""What a plugin does at the end of a day; past it, it is asked again."""

WATCHER_S = 60.0
"""One call of an `on_*` hook, which nobody waits for."""


@dataclass(frozen=True, slots=True)
class HookPlace:
    """Where one hook stands. stage: as in `HookCall.stage`."""

    hook: str
    stage: str


PLACES = {
    place.hook: place
    for place in (
        HookPlace("inspect_auth", "auth"),
        HookPlace("provide_identity", "auth"),
        HookPlace("provide_second_factor", "auth"),
        HookPlace("on_auth", "auth"),
        HookPlace("inspect_connect", "connect"),
        HookPlace("inspect_helo", "helo"),
        HookPlace("inspect_mail", "mail"),
        HookPlace("inspect_rcpt", "rcpt"),
        HookPlace("inspect_message", "message"),
        HookPlace("edit_message", "message"),
        HookPlace("provide_folder", "deliver"),
        HookPlace("collect_tls_requirement", "relay"),
        HookPlace("edit_relay", "relay"),
        HookPlace("on_attempt", "relay"),
        HookPlace("on_moved", "access"),
        HookPlace("on_classified", "access"),
        HookPlace("on_day", "life"),
        HookPlace("collect_commands", "life"),
        HookPlace("collect_dns_records", "life"),
    )
}
"""Every hook of the API, in the order of a message's way."""
