"""What the commands of the command line share: their error, and the types of their options."""

import argparse
import contextlib
import math


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


def real(above=-math.inf, below=math.inf, least_allowed=False):
    """Return a type for ``add_argument``: finite numbers above ``above`` (or equal, if allowed) and below ``below``."""

    def parse(text):
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None
        if not math.isfinite(value):
            raise argparse.ArgumentTypeError(f"must be finite, got {text}")
        if not (above < value < below or (least_allowed and value == above)):
            least = f"at least {above:g}" if least_allowed else f"above {above:g}"
            limit = f" and below {below:g}" if math.isfinite(below) else ""
            raise argparse.ArgumentTypeError(f"must be {least}{limit}, got {text}")
        return value

    return parse


def names(known):
    """Return a type for ``add_argument``: names of ``known`` with commas between them, or "all"."""

    def parse(text):
        chosen = list(known) if text == "all" else text.split(",")
        for name in chosen:
            if name not in known:
                raise argparse.ArgumentTypeError(f"must be all or some of {','.join(known)}, got {name!r}")
        return list(dict.fromkeys(chosen))

    return parse


@contextlib.contextmanager
def one_thread():
    """Hold fastact and, where threadpoolctl is installed, NumPy's BLAS to one thread each: a BLAS that waits for a
    processor that another program uses makes products of small matrices ten times slower."""
    import fastact

    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        blas = contextlib.nullcontext()
    else:
        blas = threadpool_limits(1, user_api="blas")
    with fastact.num_threads(1), blas:
        yield
