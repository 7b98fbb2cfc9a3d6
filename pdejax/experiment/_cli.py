"""The command line: sub-commands, and the loading of what each of them needs."""

import argparse
import sys
from collections.abc import Sequence

_EPILOG = """examples:
  pdejax run configs/quickstart.yaml
  pdejax run configs/darcy/real16.yaml data.root=../shared/data/operator training.steps=500
  pdejax run configs/quickstart.yaml --multirun seed=0,1,2
  pdejax run configs/quickstart.yaml resume=true
  pdejax evaluate runs/darcy-real16 data.test.path=darcy_test_32.npz
  pdejax report runs/quickstart runs/darcy-real16
  pdejax verify KortewegDeVries --method IFRK4
"""


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; it imports neither jax nor hydra."""
    top = argparse.ArgumentParser(
        prog="pdejax",
        description="Differentiable PDE solving: train neural operators and solve equations from config files.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="store_true", help="print the version and stop")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="train or solve what a config says",
        description="Train or solve what CONFIG says and write runs/<name>/.",
    )
    run.add_argument("config", metavar="CONFIG", help="path of a YAML config")
    run.add_argument(
        "--multirun", "-m", action="store_true", help="one run for every combination of comma-separated values"
    )
    run.add_argument("--dry-run", action="store_true", help="build everything, say what it is, and stop")
    _overrides(run)

    evaluate = commands.add_parser(
        "evaluate",
        help="test a trained run, also on other data or resolutions",
        description="Test the model of RUN on its test data, or on other data named by overrides.",
    )
    evaluate.add_argument("run", metavar="RUN", help="run directory, as runs/<name>")
    _overrides(evaluate)

    data = commands.add_parser(
        "data",
        help="generate a data set file",
        description="Generate the data set of CONFIG and write it as HDF5 in The Well's layout. An output without the "
        "suffix .h5 is a folder of shards. The same command goes on after an interruption.",
    )
    data.add_argument("config", metavar="CONFIG", help="path of a YAML config with a 'dataset' entry")
    _overrides(data)

    report = commands.add_parser(
        "report",
        help="rebuild report.html, or compare runs",
        description="Rebuild report.html of one run; of several, write a page that compares them.",
    )
    report.add_argument("runs", metavar="RUN", nargs="+", help="run directories")
    report.add_argument(
        "--output", "-o", metavar="FILE", help="where the comparison goes (default: comparison.html beside the runs)"
    )

    verify = commands.add_parser(
        "verify",
        help="measure the order of convergence of an equation",
        description="Refine the example of EQUATION, whose solution is known, and print errors and observed orders; "
        "the exit status is 1 if an order is below the design order.",
    )
    verify.add_argument("equation", metavar="EQUATION", nargs="?", help="class of pdejax.equations, as KortewegDeVries")
    verify.add_argument("--method", metavar="M", help="class of pdejax.solvers (default: ETDRK4; steady: chosen)")
    verify.add_argument("--list", action="store_true", help="print the names of the equations and stop")

    info = commands.add_parser(
        "info",
        help="versions and devices, or what a run or a model is",
        description="Versions and devices; for a RUN its state, config and model: size, cost, modes, errors on other "
        "grids (measured once, kept in card.json); for a model file its size and modes.",
    )
    info.add_argument("run", metavar="RUN", nargs="?", help="run directory, as runs/<name>, or a file model.eqx")
    return top


def _overrides(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "overrides",
        metavar="key=value",
        nargs="*",
        default=[],
        help="settings that replace those of the config (+key=value adds, ~key removes)",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    top = parser()
    # argparse takes positional arguments that follow an option for unknown ones: overrides may stand anywhere.
    options, rest = top.parse_known_args(arguments)
    if rest:
        unknown = [text for text in rest if text.startswith("-")]
        if unknown or not hasattr(options, "overrides"):
            top.error(f"unknown argument {(unknown or rest)[0]}")
        options.overrides = [*options.overrides, *rest]
    if options.version:
        from .. import __version__

        sys.stdout.write(f"pdejax {__version__}\n")
        return 0
    if options.command is None:
        top.print_help()
        return 0

    from ._commands import execute

    return execute(options, arguments)
