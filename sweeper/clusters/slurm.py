"""Slurm: a batch script that starts Ray on a job's nodes, drives the run, and requeues itself."""

import shlex
import sys
import time
from pathlib import Path

from sweeper.clusters.jobs import PREFIX, Job, command
from sweeper.clusters.settings import Settings
from sweeper.errors import SweeperError
from sweeper.runs import write_atomically
from trainables.data.files import data_root
from trainables.storage import is_remote

TAKES = frozenset(
    {"nodes", "cpus", "gpus", "memory", "custom", "time", "retries", "environment"}
    | {"partition", "account", "grace", "setup"}
)
RETRIES = 1000  # the ends of a time limit that one run may take
EARLY_SECONDS = 60  # that Slurm's signal may come before it is due
FOLLOW_SECONDS = 1.0
SUBMIT = "submit"  # a directory of scripts and logs: in a run's, or here for one in a store

# Everything that may differ between jobs is in the head of the script.
_BODY = r"""
# Ray's ports take commands from whoever has the token. It lives only in a file that its owner
# alone can read, made anew for every job, and only as long.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$home/token-$SLURM_JOB_ID"
export RAY_USAGE_STATS_ENABLED=0
unset RAY_AUTH_TOKEN RAY_ADDRESS
(umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$RAY_AUTH_TOKEN_PATH")
scratch="/tmp/sweeper-$SLURM_JOB_ID" ray_log="$home/ray-$SLURM_JOB_ID.log"
trap 'rm -rf "$RAY_AUTH_TOKEN_PATH" "$scratch"' EXIT

# Slurm warns before the time is over. The driver then saves its trials and exits with 130.
driver="" warned=""
trap 'warned=yes; [ -z "$driver" ] || kill -USR1 "$driver"' USR1
trap : TERM # a cancelled job: Slurm tells the driver itself, and there is no requeue

head="$SLURMD_NODENAME" # where this script runs is the first node
head_ip="$(hostname -I | awk '{print $1}')"
export SRUN_CPUS_PER_TASK="${SLURM_CPUS_ON_NODE:-1}" # all of a node to its Ray
port="$((20000 + SLURM_JOB_ID % 12000))"

# Ray ends with the job's steps: no `ray stop`, which would end what others run on a machine.
srun --nodes=1 --ntasks=1 --nodelist="$head" --overlap bash -c "$start" ray \
  --head --node-ip-address="$head_ip" --port="$port" --include-dashboard=false \
  --temp-dir="$scratch" >> "$ray_log" 2>&1 &
for ((second = 0; second < 120; second++)); do
  if (exec 3<> "/dev/tcp/$head_ip/$port") 2> /dev/null; then break; fi
  sleep 1
done
if [ "$SLURM_NNODES" -gt 1 ]; then
  others="$((SLURM_NNODES - 1))"
  srun --nodes="$others" --ntasks="$others" --exclude="$head" --overlap bash -c "$start" ray \
    --address="$head_ip:$port" >> "$ray_log" 2>&1 &
fi

code=130
if [ -z "$warned" ]; then
  "$python" -m sweeper resume "$run" --address "$head_ip:$port" "${options[@]}" &
  driver=$!
  wait "$driver"
  code=$?
  while kill -0 "$driver" 2> /dev/null; do # a signal interrupts `wait`, not the driver
    wait "$driver"
    code=$?
  done
fi
if [ "$code" -ge 128 ] && [ -n "$warned" ]; then # 130, or the signal met it as it started
  if [ "${SLURM_RESTART_COUNT:-0}" -lt "$retries" ]; then
    echo "the time is over: job $SLURM_JOB_ID is requeued and will resume $run"
    scontrol requeue "$SLURM_JOB_ID"
  else
    echo "the time is over, and the job was requeued $retries times: submit it again to go on"
  fi
fi
exit "$code"
"""

# Names that the script gives something of its own; Python's and those of nodes are exported.
VARIABLES = frozenset(
    {"run", "home", "python", "options", "retries", "start", "scratch", "ray_log", "driver"}
    | {"warned", "head", "head_ip", "port", "second", "others", "code"}
)

# What a node runs: its own share of the machine, under its own count of processors.
_START = (
    'exec "$python" -m ray.scripts.scripts start --block --disable-usage-stats '
    '--num-cpus="${SLURM_CPUS_ON_NODE:-1}" --object-store-memory=104857600 "$@"'
)


class Slurm:
    """Jobs of Slurm, through its own programs."""

    takes = TAKES

    def described(self, job: Job) -> str:
        """Give the batch script."""
        return script(job)

    def submit(self, job: Job) -> str:
        """Keep the script and hand it to `sbatch`."""
        if queued := _queued(job.experiment.name):
            raise SweeperError(
                f"{job.run} is already submitted as Slurm job {queued[0][0]} ({queued[0][1]}); "
                f"see `sweeper job status {job.experiment.name} --to slurm`"
            )
        path = _home(job.experiment.name, job.storage) / f"{job.experiment.name}.sbatch"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, script(job))
        except OSError as error:
            raise SweeperError(
                f"cannot write {path}: {error.strerror}; make the run writable"
            ) from None
        number = command("sbatch", "--parsable", str(path)).strip().partition(";")[0]
        return f"Slurm job {number}, script {path}"

    def status(self, run: str, settings: Settings) -> str:  # noqa: ARG002
        """Say what the queue says of a run's job."""
        lines = [f"job {number}  {state}  {rest}" for number, state, rest in _queued(run)]
        return "\n".join(lines) or (
            f"no Slurm job of {run} is queued or running; "
            f"`sweeper status {run}` says how far it is"
        )

    def logs(self, run: str, storage: str, settings: Settings, *, follow: bool) -> None:  # noqa: ARG002
        """Print the log of the latest job, as long as it is queued or running with `follow`."""
        home = _home(run, storage)
        while (log := _latest_log(home, run, wait=follow)) is None:
            if not follow or not _queued(run):
                raise SweeperError(f"there is no log in {home}; has the job begun?")
            time.sleep(FOLLOW_SECONDS)
        with log.open(encoding="utf-8", errors="replace") as file:
            while True:
                is_over = not follow or not _queued(run)
                sys.stdout.write(file.read())
                sys.stdout.flush()
                if is_over:
                    return
                time.sleep(FOLLOW_SECONDS)

    def stop(self, run: str, settings: Settings) -> str:  # noqa: ARG002
        """Cancel a run's jobs; a driver at work saves its trials first."""
        queued = _queued(run)
        if not queued:
            return self.status(run, Settings())
        numbers = [number for number, _, _ in queued]
        command("scancel", *numbers)
        return f"cancelled Slurm job {', '.join(numbers)}; submit {run} again to go on"

    def jobs(self, settings: Settings) -> str:  # noqa: ARG002
        """List our jobs in the queue."""
        return "\n".join(_squeue("%i  %T  %j  %R")) or "no job of sweeper is queued or running"


def script(job: Job) -> str:
    """Write the batch script of a job.

    Raises `SweeperError` where its time would be over as soon as it begins, or a name of its
    environment or its storage cannot be written in it.
    """
    asked, home = job.settings, _home(job.experiment.name, job.storage)
    if clashes := sorted(VARIABLES & asked.environment.keys()):
        raise SweeperError(
            f"environment.{clashes[0]}: the batch script has a variable of that name; give "
            "yours another, or set it in setup"
        )
    if asked.time and asked.seconds < asked.grace + EARLY_SECONDS:
        raise SweeperError(
            f"a time limit of {asked.time} leaves nothing beyond {asked.grace} s for saving "
            f"trials and {EARLY_SECONDS} s that Slurm may warn early; ask for more time, or for "
            "less grace in the cluster file"
        )
    directives = {
        "job-name": job.name,
        "nodes": asked.nodes,
        "ntasks-per-node": 1,
        "exclusive": None,
        "cpus-per-task": asked.cpus,
        "gpus-per-node": asked.gpus or None,
        "mem": f"{-(-asked.memory // 2**20)}M" if asked.memory else None,
        "time": asked.time,
        "partition": asked.partition,
        "account": asked.account,
        "signal": f"B:USR1@{asked.grace}",
        "requeue": None,
        "open-mode": "append",
        "output": _quoted(f"{str(home).replace('%', '%%')}/slurm-%j.log"),
    }
    bare = {"exclusive", "requeue"}
    lines = [
        "#!/bin/bash",
        f"# Runs {job.experiment.name}; written by `sweeper submit --to slurm`. Submitting it "
        "again resumes the run.",
        *(
            f"#SBATCH --{name}" if name in bare else f"#SBATCH --{name}={value}"
            for name, value in directives.items()
            if name in bare or value is not None
        ),
        "set -uo pipefail",
        "",
        f"run={shlex.quote(job.run)}",
        f"home={shlex.quote(str(home))}",
        f"export python={shlex.quote(sys.executable)}",
        f"options=({shlex.join(job.options)})",
        f"retries={RETRIES if asked.retries is None else asked.retries}",
        f"export SWEEPER_DATA_DIR={shlex.quote(str(data_root()))}",
        *(f"export {name}={shlex.quote(value)}" for name, value in asked.environment.items()),
        *asked.setup,
        "# shellcheck disable=SC2016 # it is for the node to expand",
        f"start={shlex.quote(_start(asked))}",
    ]
    return "\n".join(lines) + "\n" + _BODY


def _home(run: str, storage: str) -> Path:
    """Give the directory of a run's script, its logs and, while a job runs, its token."""
    beside = Path(SUBMIT, run) if is_remote(storage) else Path(storage, run, SUBMIT)
    return beside.absolute()


def _latest_log(home: Path, run: str, *, wait: bool) -> Path | None:
    """Give the log of a run's latest job; none if there is none.

    With `wait`, none either while the latest job is queued and has not begun to write its own.
    """
    if wait and (queued := _queued(run)):
        log = home / f"slurm-{queued[-1][0]}.log"
        return log if log.exists() else None
    found = sorted(home.glob("slurm-*.log"), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None


def _start(asked: Settings) -> str:
    """Give the shell that starts Ray on a node."""
    resources = ", ".join(f'"{name}": {amount:g}' for name, amount in asked.custom.items())
    options = [f"--num-gpus={asked.gpus}"] * bool(asked.gpus)
    options += [f"--memory={asked.memory}"] * bool(asked.memory)
    options += [f"--resources={shlex.quote(f'{{{resources}}}')}"] * bool(resources)
    return " ".join(["\n".join([*asked.setup, _START]), *options])


def _quoted(path: str) -> str:
    """Write a path as the value of a directive, in which Slurm expands what follows a %."""
    if set(path) & set("\"'\\\n"):
        raise SweeperError(
            f"{path!r}: Slurm cannot write a log below a path with quotes, backslashes or line "
            "ends; choose another --storage"
        )
    return f'"{path}"' if " " in path else path


def _squeue(form: str) -> list[str]:
    lines = command("squeue", "--me", "--noheader", f"--format={form}").splitlines()
    return [line.strip() for line in lines if f"  {PREFIX}" in line]


def _queued(run: str) -> list[tuple[str, str, str]]:
    """Give number, state and what Slurm adds to it of the jobs of a run that are not over."""
    name = PREFIX + Path(run).name
    found = [line.split("  ", 3) for line in _squeue("%i  %T  %j  %R")]
    return [(number, state, rest) for number, state, job, rest in found if job == name]
