"""Corpora on this machine; how they are fetched is tested in `trainables`."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from sweeper import corpora
from sweeper.errors import SweeperError
from sweeper.experiment import load
from trainables.data import DATA
from trainables.data.corpus import Corpus, RemoteFile
from trainables.data.mnist import Mnist
from trainables.data.ptb import PennTreebank
from trainables.data.symbols import Symbols
from trainables.data.yelp import Yelp

BODIES = {"train": b"a b c\n" * 1000, "valid": b"a b\n"}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data directory."""
    monkeypatch.setenv("SWEEPER_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: Path) -> Iterator[Path]:
    """The directory that a server offers the two files of `ptb` from."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    home = tmp_path / "home"
    home.mkdir()
    handler = partial(Quiet, directory=str(home))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        files = []
        for name, body in BODIES.items():
            (home / name).write_bytes(body)
            url = f"http://127.0.0.1:{server.server_port}/{name}"
            sha256 = hashlib.sha256(body).hexdigest()
            files.append(RemoteFile(f"ptb/{name}.txt", url, len(body), sha256))
        monkeypatch.setattr(PennTreebank, "files", tuple(files))
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield home
        server.shutdown()
        thread.join()


def block(name: str) -> str:
    """What the list tells of one data set."""
    lines = corpora.listing().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{name} "))
    rest = lines[start + 1 :]
    n_more = next((i for i, line in enumerate(rest) if not line.startswith(" ")), len(rest))
    return "\n".join(lines[start : start + 1 + n_more])


def test_the_list_tells_what_is_here_and_its_licence(home: Path, data: Path) -> None:
    first, *lines = corpora.listing().splitlines()

    assert first.startswith(f"data directory: {data} ")
    assert lines[0].split(maxsplit=1) == ["symbols", "made on the fly"]
    assert lines[1].split(maxsplit=1) == ["ptb", "0 of 2 files here, 0.0 MB in all"]
    assert lines[2].strip() == PennTreebank.licence
    corpora.fetch_all(["ptb"], force=False)
    assert "2 of 2 files here" in corpora.listing()
    (data / "ptb/valid.txt").write_text("another")
    assert "see `sweeper data verify ptb`" in block("ptb")
    assert "1 of 2 files here, 0.0 MB in all; 1 not as published, see " in corpora.listing()


def test_what_is_fetched_is_told_and_verified(
    home: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpora.fetch_all(["symbols", "ptb"], force=False)

    assert capsys.readouterr().out.splitlines() == [
        "symbols: made on the fly, nothing to fetch",
        f"ptb: {data}/ptb/train.txt",
        f"ptb: {data}/ptb/valid.txt",
    ]
    assert corpora.verification(["ptb"]) == (
        "ptb: ptb/train.txt: ok\nptb: ptb/valid.txt: ok",
        True,
    )


def test_the_progress_bar_stays_out_of_the_output(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpora.fetch_all(["ptb"], force=False)
    captured = capsys.readouterr()

    assert "ptb/train.txt" in captured.err
    assert len(captured.out.splitlines()) == 2


def test_what_is_missing_or_wrong_is_told(home: Path, data: Path) -> None:
    (data / "ptb").mkdir(parents=True)
    (data / "ptb/train.txt").write_text("something else")

    assert corpora.verification(["symbols", "ptb"]) == (
        "symbols: made on the fly, nothing to verify\n"
        "ptb: ptb/train.txt: wrong checksum\nptb: ptb/valid.txt: missing",
        False,
    )


def test_a_wrong_file_is_replaced_only_when_forced(home: Path, data: Path) -> None:
    (data / "ptb").mkdir(parents=True)
    (data / "ptb/train.txt").write_text("something else")

    with pytest.raises(SweeperError, match="--force") as error:
        corpora.fetch_all(["ptb"], force=False)
    assert "\n" not in str(error.value)
    assert (data / "ptb/train.txt").read_text() == "something else"
    corpora.fetch_all(["ptb"], force=True)
    assert corpora.verification(["ptb"])[1]


def test_a_file_that_its_home_lacks_is_one_line_that_says_what_to_do(
    home: Path, data: Path
) -> None:
    (home / "valid").unlink()

    with pytest.raises(SweeperError, match=r"404 .*put these files below .*ptb/valid\.txt") as e:
        corpora.fetch_all(["ptb"], force=False)
    assert "\n" not in str(e.value)
    assert (data / "ptb/train.txt").read_bytes() == BODIES["train"]


@pytest.mark.parametrize("names", [["pbt"], ["ptb", "minst"], ["../ptb"], [""]])
def test_an_unknown_data_set_is_refused_before_anything_is_fetched(
    names: list[str], data: Path
) -> None:
    with pytest.raises(SweeperError, match=r"no data set '(pbt|minst|\.\./ptb|)'; there are symb"):
        corpora.fetch_all(names, force=False)
    with pytest.raises(SweeperError, match="there is no data set"):
        corpora.verification(names)
    assert not data.exists()


def test_one_file_of_a_data_set_is_fetched_and_verified_alone(
    home: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpora.fetch_all(["ptb/valid"], force=False)

    assert capsys.readouterr().out == f"ptb/valid: {data}/ptb/valid.txt\n"
    assert not (data / "ptb/train.txt").exists()
    assert corpora.verification(["ptb/valid"]) == ("ptb/valid: ptb/valid.txt: ok", True)


@pytest.mark.parametrize("name", ["ptb/", "ptb/tset", "ptb/valid.txt/..", "ptb/ptb/valid"])
def test_an_unknown_file_of_a_data_set_is_told_with_those_there_are(
    name: str, home: Path, data: Path
) -> None:
    with pytest.raises(SweeperError, match=r"no file '.*' of data set ptb; there are train, val"):
        corpora.fetch_all([name], force=False)
    assert not data.exists()


@pytest.mark.parametrize("name", ["celeba/list_attr_celeba", "symbols/x", "image_folder/images"])
def test_nothing_is_fetched_of_what_has_no_home(name: str, data: Path) -> None:
    with pytest.raises(SweeperError, match="there is no "):
        corpora.fetch_all([name], force=False)


def test_a_directory_in_the_place_of_an_archive_is_here(data: Path) -> None:
    assert "0 of 3 files here" in block("celeba")
    (data / "celeba/img_align_celeba").mkdir(parents=True)
    assert "1 of 3 files here" in block("celeba")
    assert "1 without a published checksum" in block("celeba")
    (data / "images").mkdir()
    assert "1 of 1 files here; 1 without a published checksum" in block("image_folder")


YELP = ("yelp/yelp.train.txt", "yelp/yelp.valid.txt", "yelp/yelp.test.txt")


def test_the_list_tells_which_files_to_put_where(data: Path) -> None:
    assert "0 of 3 files here\n" in block("yelp")
    assert f"put here {', '.join(YELP)}, from {Yelp.source}" in block("yelp")
    assert "0 of 3 files here, at least 7.4 MB in all\n" in block("yahoo")
    assert "put here" not in block("yahoo")


def test_files_that_nobody_published_a_checksum_of_are_only_there(data: Path) -> None:
    (data / "yelp").mkdir(parents=True)
    for name in YELP[:2]:
        (data / name).write_text("3\tgood\n")

    assert "2 of 3 files here; 2 without a published checksum\n" in block("yelp")
    there, complete = corpora.verification(["yelp"])
    assert there.splitlines()[1:] == [
        f"yelp: {YELP[1]}: here, without a published checksum",
        f"yelp: {YELP[2]}: missing",
    ]
    assert not complete
    (data / YELP[2]).write_text("3\tgood\n")
    assert corpora.verification(["yelp"])[1]


def test_a_data_set_without_a_home_is_not_fetched_and_said_how_to_get(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SweeperError, match=r"yelp is not complete.* get them from .*Implicit-LVM"):
        corpora.fetch_all(["yelp"], force=False)
    (data / "yelp").mkdir(parents=True)
    for name in YELP:
        (data / name).write_text("3\tgood\n")
    corpora.fetch_all(["yelp"], force=False)
    assert capsys.readouterr().out == "yelp: all files are here\n"


def test_without_names_all_data_sets_are_meant() -> None:
    assert list(corpora.known(None)) == list(corpora.known([])) == list(DATA)
    assert corpora.known(["ptb"]) == {"ptb": PennTreebank.files}
    assert DATA["symbols"] is Symbols


WITH_A_QUEUE = """
name: x
trial:
  data: {name: mnist}
  model: {name: resnet_masked, latents: {kind: gaussian}}
  objective: {name: cr_vae, negatives: {kind: queue, length: 96}}
  training: {steps: 10, batch_size: 32, learning_rate: 0.001}
search: {space: {}, trials: 1}
"""
SHARE = "0.001, pretraining: {share: 0.1, steps: 1}"  # of 106 observations 95 are left


@pytest.mark.parametrize(
    ("n", "beforehand", "fits"),
    [(95, "", False), (96, "", True), (106, SHARE, False), (107, SHARE, True)],
)
def test_data_that_is_too_little_for_an_objective_is_found_before_anything_starts(
    n: int, beforehand: str, fits: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.zeros(n, 28, 28, dtype=torch.uint8)
    corpus = Corpus({"train": x, "validation": x, "test": x}, 2, "sum", shape=(28, 28))
    monkeypatch.setattr(Mnist, "load", lambda self, root: corpus)
    path = tmp_path / "x.yaml"
    path.write_text(WITH_A_QUEUE.replace("0.001", beforehand or "0.001"), encoding="utf-8")
    experiment = load(path)

    if fits:
        assert corpora.data_checksums(experiment) == {"x": "sum"}
        return
    with pytest.raises(SweeperError, match=r"^arm x: objective 'cr_vae': a queue of 96 keys .*95"):
        corpora.data_checksums(experiment)
