"""What the commands of the command line share: their error, and the types of their options."""

import argparse


class CommandError(Exception):
    """A command cannot do its work; the message is one line for standard error."""

    status = 1


class UsageError(CommandError):
    """The command line asks for what cannot be."""

    status = 2


def integer(least, most=None):
    """Return a type for ``add_argument``: integers from ``least`` to ``most``."""

    def parse(text):
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be an integer, got {text!r}") from None
        if value < least or (most is not None and value > most):
            limit = f"at least {least}" if most is None else f"between {least} and {most}"
            raise argparse.ArgumentTypeError(f"must be {limit}, got {value}")
        return value

    return parse
