"""What can go wrong with channels and settings of notifications, in sentences for people."""


class ChannelNotFound(Exception):
    """The organization has no such channel."""


class Invalid(Exception):
    """Values will not do; `errors` has a sentence for each field."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = errors
