"""The command `kyeo`: `kyeo demo` trains a network on real digits, `kyeo run` runs a Keras program as it is, `kyeo
doctor` looks at the machine."""

import argparse
import importlib
import importlib.metadata
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["main", "version_of"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code: 0 when all went well, 1 for an error, 130 after Ctrl-C.

    Args:
        arguments: The words after `kyeo`; by default those of this process.

    Example:
        >>> from kyeo.cli import main
        >>> main(["doctor"])  # doctest: +SKIP
        0
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if not hasattr(options, "module"):
        parser.print_help(sys.stderr)
        parser.exit(2)
    if options.module == "kyeo.cli.program":  # its signals and its errors are its own
        return importlib.import_module(options.module).run(options)
    # A polite kill ends like Ctrl-C, so that temporary files are removed.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        # Only now: `kyeo doctor` must speak where JAX cannot be imported.
        return importlib.import_module(options.module).run(options)
    except KeyboardInterrupt:
        print("\nkyeo: interrupted", file=sys.stderr)
        return 130
    except (OSError, ImportError) as error:
        print(f"kyeo: {error}", file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)


def version_of(package: str) -> str:
    """Give the version of an installed package.

    Example:
        >>> from kyeo.cli import version_of
        >>> version_of("no-such-package")
        'not installed'
    """
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kyeo", description="Neural networks with the Keras API on JAX.")
    parser.add_argument("--version", action="version", version=version_of("kyeo"))
    commands = parser.add_subparsers(metavar="COMMAND")
    summary = "train the tutorial's network on 4,000 handwritten digits and draw a picture of it"
    demo = commands.add_parser("demo", help=summary, description=summary)
    demo.set_defaults(module="kyeo.cli.demo")
    demo.add_argument("--epochs", type=_positive, default=10, help="passes over the digits (%(default)s)")
    demo.add_argument("--out", type=Path, default=Path("demo_output"), help="output folder (%(default)s)")
    demo.add_argument("--seed", type=int, default=1, help="same seed, same network (%(default)s)")
    summary = "run a program that imports Keras, or libraries built on it, with Kyeo in its place"
    program = commands.add_parser("run", help=summary, description=summary,
                                  usage="kyeo run [-m] PROGRAM [ARGUMENT ...]")
    program.set_defaults(module="kyeo.cli.program")
    program.add_argument("-m", action="store_true", dest="as_module", help="PROGRAM is the name of a module")
    program.add_argument("program", metavar="PROGRAM", help="a file with Python code")
    program.add_argument("arguments", metavar="ARGUMENT", nargs=argparse.REMAINDER, help="the program's own arguments")
    summary = "print versions, devices, threads and caches: what to put into a report of a problem"
    doctor = commands.add_parser("doctor", help=summary, description=summary)
    doctor.set_defaults(module="kyeo.cli.doctor")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)
