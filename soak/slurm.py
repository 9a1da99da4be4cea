"""A real Slurm of one node, from Debian's packages, that nothing else on the machine sees."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGES = ("slurm-wlm", "munge")
DAEMONS = ("munged", "slurmctld", "slurmd")
PORTS = (26817, 26818)  # of slurmctld and slurmd, away from Slurm's own
START_SECONDS = 60

# A requeued job waits until its credentials have expired, 2 minutes if nothing is said.
_CONFIGURATION = """\
ClusterName=soak
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmdPort={slurmd_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={place}/munge.socket,cred_expire=20
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
MpiDefault=none
KillWait=5
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def available(*, install: bool) -> str | None:
    """Say why there can be no Slurm here, none if there can.

    With `install`, Debian's packages are installed where that is possible and needed.
    """
    if os.getuid() != 0:
        return "Slurm's daemons need root"
    if all(map(shutil.which, DAEMONS)):
        return None
    if not install:
        return "Slurm is not installed"
    if shutil.which("apt-get") is None:
        return "Slurm is not installed, and there is no apt-get"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES],
    ):
        subprocess.run(command, env=environment, capture_output=True, check=False)
    return None if all(map(shutil.which, DAEMONS)) else "Slurm cannot be installed"


@contextmanager
def one_node_slurm() -> Iterator[dict[str, str]]:
    """Run the daemons, and give the environment in which Slurm's programs find them.

    Raises `RuntimeError` with the end of their logs where they do not start.
    """
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder:
        place = Path(folder)
        environment = {**os.environ, "SLURM_CONF": str(_configure(place))}
        running = []
        try:
            for command in (
                [
                    *("munged", "--foreground", "--force", "--num-threads=2"),
                    *(f"--socket={place}/munge.socket", f"--key-file={place}/munge.key"),
                    *(f"--pid-file={place}/munged.pid", f"--log-file={place}/munged.log"),
                    f"--seed-file={place}/munged.seed",
                ],
                ["slurmctld", "-D", "-i"],
                ["slurmd", "-D"],
            ):
                running.append(
                    subprocess.Popen(
                        command,
                        env=environment,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                    )
                )
                _wait_for_munge(place)
            _wait_for_node(environment, place)
            yield environment
        finally:
            for daemon in reversed(running):
                daemon.terminate()
                try:
                    daemon.wait(10)
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait()


def _configure(place: Path) -> Path:
    place.chmod(0o755)  # munged wants a way to its socket that others cannot change
    for name in ("state", "spool"):
        (place / name).mkdir()
    key = place / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    path = place / "slurm.conf"
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    path.write_text(
        _CONFIGURATION.format(
            host=os.uname().nodename.partition(".")[0],
            place=place,
            ctld_port=PORTS[0],
            slurmd_port=PORTS[1],
            cpus=os.cpu_count(),
            memory=pages // 2**20 * 9 // 10,
        )
    )
    return path


def _wait_for_munge(place: Path) -> None:
    for _ in range(100):
        if (place / "munge.socket").exists():
            return
        time.sleep(0.1)
    raise RuntimeError(_ends_of_logs(place))


def _wait_for_node(environment: dict[str, str], place: Path) -> None:
    command = ["sinfo", "--noheader", "--format=%T"]
    for _ in range(START_SECONDS * 2):
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
        if done.stdout.strip() == "idle":
            return
        time.sleep(0.5)
    raise RuntimeError(_ends_of_logs(place))


def _ends_of_logs(place: Path) -> str:
    logs = sorted(place.glob("*.log"))
    return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-1000:]}" for log in logs)
