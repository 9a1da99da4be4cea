"""The batch script, and what is asked of Slurm's programs; `soak/faults/slurm.py` runs it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sweeper.clusters.slurm import VARIABLES, Slurm, script
from sweeper.errors import SweeperError
from tests.sweeper.clusters.conftest import MakeJob, Program

QUEUE = 'printf "7  RUNNING  sweeper-tiny  node1\\n8  PENDING  other  (Priority)\\n"'


def directives(text: str) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in text.splitlines() if "#SBATCH" in line]


def test_the_script_asks_for_what_the_settings_say(job: MakeJob, tmp_path: Path) -> None:
    wanted = {"nodes": 2, "cpus": 8, "gpus": 4, "memory": "64GiB", "time": "12:00:00"}
    text = script(job("slurm", **wanted, partition="long", account="lab"))

    assert directives(text) == [
        "--job-name=sweeper-tiny",
        "--nodes=2",
        "--ntasks-per-node=1",
        "--exclusive",
        "--cpus-per-task=8",
        "--gpus-per-node=4",
        "--mem=65536M",
        "--time=12:00:00",
        "--partition=long",
        "--account=lab",
        "--signal=B:USR1@120",
        "--requeue",
        "--open-mode=append",
        f"--output={tmp_path}/runs/tiny/submit/slurm-%j.log",
    ]
    assert f"run={tmp_path}/runs/tiny\n" in text
    assert "options=(--workers=2)\n" in text


def checked(text: str, tmp_path: Path) -> None:
    path = tmp_path / "job.sbatch"
    path.write_text(text)
    for command in (["bash", "-n"], ["shellcheck"]):
        if shutil.which(command[0]):
            done = subprocess.run([*command, path], capture_output=True, text=True, check=False)
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("storage", ["/tmp/with space", "s3://bucket/runs"])
def test_the_script_is_sound_shell(job: MakeJob, tmp_path: Path, storage: str) -> None:
    checked(script(job("slurm", storage, time="30", custom={"tape": 1}, gpus=1)), tmp_path)


def test_what_a_node_runs_starts_ray_with_what_it_has(job: MakeJob, tmp_path: Path) -> None:
    settings = {"custom": {"tape": 2}, "gpus": 1, "memory": "1GiB", "setup": ["export SET=up"]}
    text = script(job("slurm", **settings))
    start = text[text.index("start=") : text.index("# Ray's ports")]
    fake = tmp_path / "python"
    fake.write_text('#!/bin/bash\nprintf "%s\\n" "$SET" "$@"\n')
    fake.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", f'{start}\nbash -c "$start" ray --head'],
        env={**os.environ, "python": str(fake), "SLURM_CPUS_ON_NODE": "4"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines() == [
        *("up", "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"),
        *("--num-cpus=4", "--object-store-memory=104857600", "--head", "--num-gpus=1"),
        *("--memory=1073741824", '--resources={"tape": 2}'),
    ]


def test_no_token_is_in_the_script(job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "correct-horse")
    text = script(job("slurm"))

    assert "correct-horse" not in text
    assert "export RAY_AUTH_MODE=token" in text
    assert "umask 077" in text
    assert "ray stop" not in [line.strip() for line in text.splitlines() if "#" not in line]


def test_a_time_that_is_over_as_it_begins_is_refused(job: MakeJob) -> None:
    with pytest.raises(SweeperError, match="a time limit of 2 leaves nothing beyond 120 s"):
        script(job("slurm", time="2"))


def test_a_job_is_submitted_once(job: MakeJob, program: Program, tmp_path: Path) -> None:
    program("squeue", ":")
    calls = program("sbatch", 'echo "12;here"')
    said = Slurm().submit(job("slurm"))

    path = tmp_path / "runs/tiny/submit/tiny.sbatch"
    assert said == f"Slurm job 12, script {path}"
    assert path.read_text() == script(job("slurm"))
    assert calls.read_text() == f"--parsable {path}\n"
    program("squeue", QUEUE)
    with pytest.raises(SweeperError, match=r"already submitted as Slurm job 7 \(RUNNING\)"):
        Slurm().submit(job("slurm"))


def test_a_job_is_looked_after_by_its_runs_name(job: MakeJob, program: Program) -> None:
    program("squeue", QUEUE)
    calls = program("scancel", ":")
    slurm, settings = Slurm(), job("slurm").settings

    assert slurm.status("tiny", settings) == "job 7  RUNNING  node1"
    assert slurm.jobs(settings) == "7  RUNNING  sweeper-tiny  node1"
    assert slurm.stop("tiny", settings).startswith("cancelled Slurm job 7;")
    assert calls.read_text() == "7\n"
    assert "no Slurm job of other is queued" in slurm.stop("other", settings)


def test_the_latest_log_is_printed(
    job: MakeJob, program: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program("squeue", ":")
    settings, storage = job("slurm").settings, str(tmp_path / "runs")
    with pytest.raises(SweeperError, match="there is no log in"):
        Slurm().logs("tiny", storage, settings, follow=False)
    home = tmp_path / "runs/tiny/submit"
    home.mkdir(parents=True)
    (home / "slurm-7.log").write_text("it runs\n")
    Slurm().logs("tiny", storage, settings, follow=True)

    assert capsys.readouterr().out == "it runs\n"


def test_a_log_is_followed_from_before_its_job_begins(
    job: MakeJob, program: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, settings = tmp_path / "runs/tiny/submit", job("slurm").settings
    home.mkdir(parents=True)
    (home / "slurm-6.log").write_text("an earlier job\n")
    begins = f'[ -e {home}/slurm-7.log ] || echo "it runs" > {home}/slurm-7.log'
    program(
        "squeue",
        f"[ -e {home}/over ] || {QUEUE}; [ -e {home}/slurm-7.log ] && touch {home}/over; {begins}",
    )
    Slurm().logs("tiny", str(tmp_path / "runs"), settings, follow=True)

    assert capsys.readouterr().out == "it runs\n"


def test_what_slurm_refuses_is_one_line(job: MakeJob, program: Program) -> None:
    program("squeue", ":")
    program("sbatch", "echo 'sbatch: error: invalid partition' >&2; exit 1")
    with pytest.raises(SweeperError, match="failed: sbatch: error: invalid partition"):
        Slurm().submit(job("slurm"))


def test_without_slurm_it_says_so(job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SweeperError, match="there is no squeue here; run this where"):
        Slurm().submit(job("slurm"))


def test_no_name_of_the_environment_meets_one_of_the_script(job: MakeJob) -> None:
    text = re.sub(r"^#.*$", "", script(job("slurm")), flags=re.MULTILINE)
    given = set(re.findall(r"(?:^|[ (])([a-z_]+)=", text, re.MULTILINE))
    given |= set(re.findall(r"\bfor \(\((\w+) =", text))

    assert {"run", "port", "second"} <= given <= VARIABLES
    with pytest.raises(SweeperError, match=r"^environment\.port: the batch script has a variable"):
        script(job("slurm", environment={"port": "80", "http_proxy": "here"}))


def test_a_log_goes_where_slurm_can_write_it(job: MakeJob) -> None:
    assert '--output="/a b/50%%/tiny/submit/slurm-%j.log"' in directives(
        script(job("slurm", "/a b/50%"))
    )
    with pytest.raises(SweeperError, match="quotes, backslashes or line ends; choose another"):
        script(job("slurm", '/a "b"'))
