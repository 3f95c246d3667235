"""How much is relayed at once and how long is it tried? Settings alone, so that who reads a configuration loads nothing else."""

from dataclasses import dataclass

from mailward.queue.schedule import GIVE_UP_AFTER_S


@dataclass(frozen=True, slots=True)
class OutboundLimits:
    """give_up_after_s: then it bounces. delay_notice_after_s: then its sender hears that it is still tried.

    connections_per_domain: at the same time, to one next hop. connections: to all, while their servers answer; silent: beside
    them, to servers that have let `patience_s` go by; idle: that are kept for `linger_s` for the next message; doubtful: to
    those that could not be reached the last time. crowded_s: the first pause of a lane whose networks have as many connections
    as they may; each further one is twice as long.
    recipients: of one transaction (RFC 5321 section 4.5.3.1.8). messages: over one connection; turn: while others wait for its
    place. grace_s: for attempts under way when the server stops.
    """

    give_up_after_s: float = GIVE_UP_AFTER_S
    delay_notice_after_s: float = 4 * 3600.0
    connections_per_domain: int = 5
    connections: int = 50
    silent: int = 500
    idle: int = 100
    doubtful: int = 50
    patience_s: float = 1.0
    linger_s: float = 2.0
    crowded_s: float = 5.0
    recipients: int = 100
    messages: int = 100
    turn: int = 10
    grace_s: float = 20.0
