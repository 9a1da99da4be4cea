"""`make bench`: every benchmark in turn, each in a process of its own."""

import os
import subprocess
import sys

BENCHMARKS = ("step", "critics", "cr_vae", "memory", "startup", "store", "sweep", "comparison")

if __name__ == "__main__":
    chosen = sys.argv[1:] or BENCHMARKS
    single = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    for name in chosen:
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True, env=single)
