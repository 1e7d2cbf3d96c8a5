"""The command line: ``python -m fastact COMMAND`` (also ``fastact COMMAND``).

A command is a row of `COMMANDS`. One that is more than a call has a module of its own, with ``DESCRIPTION``,
``add_arguments(parser)`` and ``run(arguments)``. A command that cannot do its work raises `CommandError`.
"""

import argparse
import os
import sys
from collections.abc import Callable
from typing import NamedTuple

import fastact
from fastact import benchmarks, demo, gradients, report, runtime, train, verify
from fastact._commands import CommandError

EXIT_STATUS = """\
exit status:
  0    done
  1    the command failed; a line on standard error says why (an optional package is not installed, say)
  2    the command line is wrong, or names what cannot be used
  130  interrupted (Ctrl-C)
  141  the reader of the output has gone away
"""


class Parser(argparse.ArgumentParser):
    """A parser that answers a wrong command line with one line."""

    def error(self, message):
        print(f"{self.prog}: error: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)


class _Command(NamedTuple):
    help: str
    description: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]


def _of_module(module, help):
    return _Command(help, module.DESCRIPTION, module.add_arguments, module.run)


COMMANDS = {
    "info": _Command(
        "show what fastact found on this machine",
        "Print fastact's version, the instruction set and the threads its kernels use, the OpenMP runtime, NumPy and\n"
        "its BLAS, and what would make it faster. FASTACT_ISA and FASTACT_NUM_THREADS override what it chose.",
        lambda parser: None,
        lambda arguments: fastact.show_config(),
    ),
    "demo": _of_module(demo, "train the same deep network with each activation, and compare"),
    "gradients": _of_module(gradients, "compare what is left of a gradient behind many layers with the theory"),
    "bench": _of_module(benchmarks, "time fastact beside the libraries that are installed, and write a report"),
    "report": _of_module(report, "train with each activation on your data, and write a page about it"),
    "train": _of_module(train, "train a network on your data, and save it"),
    "verify": _of_module(verify, "compare the results of all 2^32 float32 inputs with the published ones, bit for bit"),
}


def make_parser():
    """Return the parser of the whole command line."""
    formats = {"formatter_class": argparse.RawDescriptionHelpFormatter, "epilog": EXIT_STATUS, "allow_abbrev": False}
    parser = Parser(prog="fastact", description="Activation functions for NumPy arrays, compiled.", **formats)
    parser.add_argument("--version", action="version", version=f"fastact {fastact.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(name, help=command.help, description=command.description, **formats)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def main(arguments=None):
    """Run one command and return the exit status.

    Parameters
    ----------
    arguments : list of str, optional
        The default is the process's own command line.
    """
    if runtime.environment_error:
        print(f"fastact: error: {runtime.environment_error}", file=sys.stderr)
        return 2
    parser = make_parser()
    try:
        arguments = parser.parse_args(arguments)
        if arguments.command is None:
            parser.print_help(sys.stderr)
            return 2
        arguments.run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except CommandError as error:
        print(f"fastact {arguments.command}: error: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter's last flush complains
        return 141
    except OSError as error:  # a full disk behind standard output, say
        print(f"fastact {arguments.command}: error: {error}", file=sys.stderr)
        return 1
    return 0
