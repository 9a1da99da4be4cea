"""An object store that fails now and then, and one that is away for a while."""

import shutil
import time

from soak.machine import lines_until
from soak.object_store import BUCKET, object_store
from soak.scene import Fault, Scene
from soak.sweeps import check, write_experiment

FAILING = 0.1  # of all requests
DOWN_SECONDS = 20.0
PATIENCE = 900.0  # seconds for a sweep whose every request may have to be repeated
ROOT = f"s3://{BUCKET}/runs"


def _unreliable(stage: Scene) -> str:
    """Let requests fail, then all of them for a while; then go on from another machine's cache."""
    # Enough states, yet not so many that to repeat every tenth request takes all the time.
    policy = {"steps": 200}
    stage = stage.small
    path = write_experiment(stage.directory, "stored", stage.quick, checkpoints=policy)
    cache, machine = stage.directory / "cache", stage.machine
    with object_store() as store:
        machine.env |= {**store.environment, "SWEEPER_CACHE_DIR": str(cache)}
        store.fail_rate = FAILING
        command = ["--storage", ROOT, "--workers", "2"]
        with machine.start("run", str(path), *command) as driver:
            lines_until(driver, "[2/")
            store.is_down, before = True, store.failed
            time.sleep(DOWN_SECONDS)
            store.is_down, down = False, store.failed - before
            assert driver.poll() is None, driver.communicate()
            lines_until(driver, "[4/")
            driver.kill()
            driver.communicate()
        machine.clear()
        shutil.rmtree(cache)  # as on a machine that has never seen the run
        with machine.start("resume", "stored", *command) as driver:
            out, err = driver.communicate(timeout=PATIENCE)
        assert (driver.returncode, err) == (0, ""), (driver.returncode, out, err)
        shutil.rmtree(cache)
        (stage.directory / "runs").symlink_to(cache / "read" / "s3" / BUCKET / "runs")
        code, lines, err = machine.sweeper("status", f"{ROOT}/stored")
        assert (code, err) == (0, ""), (code, lines, err)
        same = check(stage, "stored")
        return (
            f"{store.requests} requests, {store.failed} of them failed, {down} while it was down "
            f"for {DOWN_SECONDS:.0f} s; the driver was killed and the run resumed without its "
            f"cache; {same}"
        )


FAULTS = (
    Fault(
        "store",
        "S3 (a moto server on loopback) failing 10 % of requests, then down for 20 s",
        "retried, completes",
        _unreliable,
        long=True,
    ),
)
