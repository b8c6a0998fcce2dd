"""The errors that every part of the benchmark raises, and errors as one line."""


class UserError(Exception):
    """A mistake of the user. The message is one line: what, why, how to fix it."""


class Unavailable(Exception):
    """A value cannot be computed here. The report prints the message as the reason."""


class NotApplicable(Unavailable):
    """A value makes no sense here, whatever is installed."""


def one_line(error: BaseException) -> str:
    """Return an exception as one line: its message, or its type if it has none."""
    message = " ".join(str(error).split())
    named = isinstance(error, (ValueError, OSError, RuntimeError)) and message
    return message if named else f"{type(error).__name__} {message}".rstrip()
