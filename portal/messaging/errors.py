"""What can be wrong with a request about messages; each text is a sentence for whoever asked."""


class MessagingError(Exception):
    """Parent of the errors of this room."""


class NotFoundError(MessagingError):
    """The organization has no such message; whether another one has it is not said."""


class NotNowError(MessagingError):
    """The message does not stand so that this could be done with it."""
