"""What can go wrong in the webhooks room; every message is a sentence for the person who can mend it."""


class WebhooksError(Exception):
    """Parent of the errors of this room."""


class NotFoundError(WebhooksError):
    """There is no such thing in this organization."""


class InvalidError(WebhooksError):
    """A value will not do.

    Attributes:
        errors: field → sentence.
    """

    def __init__(self, errors: dict[str, str]) -> None:
        self.errors = errors
        super().__init__(" ".join(errors.values()))


class TooLargeError(WebhooksError):
    """An event is larger than receivers are asked to take."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"An event has at most {limit // 1024} KiB. Send an id, and let receivers fetch the rest.")


class DuplicateEventError(WebhooksError):
    """There is another event of this id."""

    def __init__(self, event_id: str) -> None:
        super().__init__(f"There is already an event {event_id} with other content. Choose another id.")


class ConflictError(WebhooksError):
    """It does not fit what is stored now."""
