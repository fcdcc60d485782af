"""What a channel is given to send, and what it says became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgekit.connectors import Attempt


@dataclass(frozen=True, slots=True)
class Message:
    """A communication on its way out.

    `idempotency_key` is the same in every attempt, so the other side can tell a second one from a second
    message. `target` is the table and id of who it is for.
    """

    id: int
    type: str
    channel: str
    target: tuple[str, int]
    request_data: Mapping[str, Any]
    idempotency_key: str
    correlation_id: str
    retry_count: int = 0


@dataclass(frozen=True, slots=True)
class Service:
    """What serves a channel at a place: an integration, a provider, or both; else a person does."""

    channel: str
    integration: Mapping[str, Any] | None = None
    """The row of the integration, its settings read."""
    provider: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What the configuration says beside."""

    @property
    def is_person(self) -> bool:
        """Whether somebody has to do it by hand."""
        return self.integration is None and self.provider is None and not self.is_internal

    @property
    def is_internal(self) -> bool:
        """Whether the inbox of a user in this file is where it goes."""
        return self.channel == "INTERNAL"


@dataclass(slots=True)
class Sent:
    """What the other side answered, and the tries it took.

    A channel that fails raises EdgekitError, its `.attempts` the tries: an UnavailableError is tried again
    later, under the same key, any other is final.
    """

    response: Mapping[str, Any] | None = None
    attempts: Sequence[Attempt] = ()


class Provider(Protocol):
    """What another package offers for a channel, as an entry point of the group `edgekit.channels`."""

    def send(self, message: Message, *, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> Sent:
        """Send a message and return what was answered. Raise EdgekitError as `Sent` says.

        `settings` are those of the integration the configuration names, with what it says beside over them;
        `secrets` are that integration's, opened when they are asked for.
        """
        ...
