"""Who judges? One policy with its plugins, ready to try any number of mail transactions at once."""

from collections.abc import Mapping, Sequence

from mailward.api.services import Clock
from mailward.formats.message import MessageView
from mailward.model.envelope import Envelope
from mailward.model.ids import QueueId
from mailward.model.session import Session
from mailward.pipeline.chain import Chain
from mailward.pipeline.enabling import ServicesOf, enabled_plugins
from mailward.pipeline.gathering import unset_facts
from mailward.pipeline.meeting import Meeting
from mailward.pipeline.plugins import PluginHost
from mailward.pipeline.shadowing import ShadowRoom
from mailward.pipeline.sides import Bench, Sides
from mailward.pipeline.stages import MESSAGE_STAGE_S
from mailward.pipeline.transaction import Judgement, Trial
from mailward.policy import Policy, RecipientFacts
from mailward.policy.facts import RDNS


class Judge:
    """Immutable: a reload makes a new one, and transactions under way keep theirs.

    hostname: ours. message_stage_s: limit of all its hooks together. room: for what is looked at in shadow, of the whole process.
    key: of this installation, by which senders are of a share; None: nobody is.
    Raises PluginError when the enabled plugins cannot work together.
    """

    def __init__(
        self,
        policy: Policy,
        host: PluginHost,
        services_of: ServicesOf,
        *,
        hostname: str,
        clock: Clock,
        message_stage_s: float = MESSAGE_STAGE_S,
        key: bytes | None = None,
        room: ShadowRoom | None = None,
    ) -> None:
        self.policy = policy
        self.hostname = hostname
        enabled = tuple(enabled_plugins(policy, host, services_of))
        self._bench = Bench(policy, Chain(enabled), clock, unset_facts(enabled), message_stage_s, room or ShadowRoom())
        self._sides = Sides(self._bench, enabled, key)
        looks_early = any({"inspect_connect", "inspect_helo"} & one.plugin.implementations.keys() for one in enabled)
        self.needs_rdns = looks_early or not RDNS.isdisjoint(policy.reads)
        """Somebody reads what reverse DNS says of the peer: `session.rdns` is to be known from MAIL on."""

    @property
    def replies(self) -> Mapping[str, str]:
        """The admin's words for the replies of `model.replies`, by name."""
        return self.policy.replies

    @property
    def chain(self) -> Chain:
        """Its plugins, for what else this policy has to say in the same process."""
        return self._bench.chain

    def close(self) -> None:
        """End the processes of its plugins, where nobody judges by it any more."""
        self._bench.chain.close()

    def meet(self) -> Meeting:
        """For one client, as soon as it is there."""
        return Meeting(self._bench.chain)

    def begin(self, session: Session, meeting: Meeting | None = None) -> Trial:
        """A fresh trial for one mail transaction; nothing of an earlier one is in it.

        meeting: of the client; without one, or by another judge (the policy was reloaded since), it is made up for at MAIL.
        """
        return Trial(self._sides, meeting if meeting is not None and meeting.chain is self._bench.chain else None)

    async def rehearse(
        self, queue_id: QueueId, session: Session, envelope: Envelope, recipients: Sequence[RecipientFacts], message: MessageView
    ) -> tuple[Trial, Judgement]:
        """A whole transaction without a peer: each stage knows what it would know in the server. A refusal ends nothing.

        recipients: one for each forward-path.
        """
        trial, paths = self.begin(session), envelope.forward_paths
        await trial.mail(session, envelope.first(0))
        for number, (path, recipient) in enumerate(zip(paths, recipients, strict=True)):
            await trial.rcpt(session, envelope.first(number), path, recipient)
        return trial, await trial.message(queue_id, session, envelope, recipients, message)
