"""The two errors that every part of the benchmark knows, and errors as one line."""


class UserError(Exception):
    """A mistake of the user, told in one line: what, why, how to fix it."""


class Unavailable(Exception):
    """A value that cannot be had here; the message is the reason the report prints."""


def one_line(error: BaseException) -> str:
    """An exception as one line for the user: its message, or its type where it has none."""
    message = " ".join(str(error).split())
    named = isinstance(error, (ValueError, OSError, RuntimeError)) and message
    return message if named else f"{type(error).__name__} {message}".rstrip()
