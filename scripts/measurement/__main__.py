"""One measurement by its name: scripts/measure faults, scripts/measure soak --echo 1000, and so on."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

MEASUREMENTS = ("faults", "soak", "moved", "drill", "batch", "paging", "fuzz", "bench", "walk", "mutate")


def main(arguments: list[str]) -> int:
    """Run the measurement that is named first; 1 if a promise was broken."""
    usage = "scripts/measure NAME [--help] [options]; NAME is one of " + ", ".join(MEASUREMENTS)
    door = argparse.ArgumentParser(prog="scripts/measure", usage=usage, description="Exit 1 if a promise was broken.")
    door.add_argument("name", choices=MEASUREMENTS)
    name = door.parse_args(arguments[:1]).name
    module = import_module(f"measurement.{name}")
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog=f"scripts/measure {name}", description=module.__doc__, formatter_class=raw, allow_abbrev=False
    )
    module.add_arguments(parser)
    status: int = module.run(parser.parse_args(arguments[1:]))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
