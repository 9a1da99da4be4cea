"""`python -m soak [--quick] [--output FILE] [NAME...]`: inject faults and print the table."""

import argparse
import sys
import time
from pathlib import Path

from soak.faults import FAULTS
from soak.scene import HEAD, play


def main() -> int:
    """Play the chosen faults, or all, and give the exit code: 1 where one was not survived."""
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FAULTS)}")
    parser.add_argument("--quick", action="store_true", help="each fault a few times only")
    parser.add_argument("--output", type=Path, help="write the table here too")
    options = parser.parse_args()
    if unknown := set(options.names) - FAULTS.keys():
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    start, rows = time.monotonic(), []
    for name in options.names or FAULTS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows.append(play(FAULTS[name], options.quick))
        print(rows[-1], file=sys.stderr, flush=True)
    table = "\n".join([HEAD, *map(str, rows)])
    print(f"{table}\n\n{len(rows)} faults in {(time.monotonic() - start) / 60:.1f} minutes")
    if options.output:
        options.output.write_text(f"{table}\n", encoding="utf-8")
    return int(any(row.outcome == "FAILED" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
