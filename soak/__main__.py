"""`python -m soak [--quick] [--jobs N] [--output FILE] [NAME...]`: faults and their table."""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from soak.faults import FAULTS
from soak.scene import HEAD, Fault, Row, play

JOBS = 2  # sweeps begin, and faults are waited for, while others train


def main() -> int:
    """Play the chosen faults, or all, and give the exit code: 1 where one was not survived."""
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(FAULTS)}")
    parser.add_argument("--quick", action="store_true", help="each fault a few times only")
    parser.add_argument("--jobs", type=int, default=JOBS, help="faults at a time (%(default)s)")
    parser.add_argument("--output", type=Path, help="write the table here too")
    options = parser.parse_args()
    if unknown := set(options.names) - FAULTS.keys():
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    start = time.monotonic()
    rows = _play([FAULTS[name] for name in options.names or FAULTS], options.quick, options.jobs)
    table = "\n".join([HEAD, *map(str, rows)])
    print(f"{table}\n\n{len(rows)} faults in {(time.monotonic() - start) / 60:.1f} minutes")
    if options.output:
        options.output.write_text(f"{table}\n", encoding="utf-8")
    return int(any(row.outcome == "FAILED" for row in rows))


def _play(faults: Sequence[Fault], quick: bool, jobs: int) -> list[Row]:
    """Play several faults at a time, the long ones first, then those that measure, one by one."""

    def tell(fault: Fault) -> Row:
        print(f"{fault.name} ...", file=sys.stderr, flush=True)
        row = play(fault, quick)
        print(row, file=sys.stderr, flush=True)
        return row

    together = sorted(
        (fault for fault in faults if not fault.alone), key=lambda fault: -fault.long
    )
    with ThreadPoolExecutor(jobs) as pool:
        rows = dict(zip(together, pool.map(tell, together), strict=True))
    rows |= {fault: tell(fault) for fault in faults if fault.alone}
    return [rows[fault] for fault in faults]


if __name__ == "__main__":
    sys.exit(main())
