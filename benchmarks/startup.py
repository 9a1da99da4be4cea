"""How long `sweeper --help` takes, against Python itself."""

import subprocess
import sys

from benchmarks.report import line, median_seconds


def main() -> None:
    command = [sys.executable, "-m", "sweeper", "--help"]
    ours = median_seconds(lambda: subprocess.run(command, check=True, capture_output=True), 5)
    line("sweeper --help / 0.5 s", ours / 0.5, "< 1", f"{ours:.3f} s")


if __name__ == "__main__":
    main()
