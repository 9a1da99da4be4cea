"""CIFAR-10's binary files: records of a label and three planes, in a tar archive."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trainables.data import cifar
from trainables.data.cifar import Cifar10
from trainables.data.corpus import RemoteFile
from trainables.data.files import DataError, sha256
from trainables.data.pictures import luminance

Member = tuple[tarfile.TarInfo, bytes]
MakeCifar = Callable[[list[Member]], Cifar10]

PLANES = np.random.default_rng(0).integers(0, 256, (7, 3, 32, 32), np.uint8)


def record(label: int, planes: np.ndarray) -> bytes:
    return bytes([label]) + planes.tobytes()


def member(name: str, content: bytes) -> Member:
    info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
    info.size = len(content)
    return info, content


def members() -> list[Member]:
    """One image in every training file, two in the test file; the labels count them."""
    training = [
        member(f"data_batch_{i}.bin", record(i - 1, PLANES[i - 1])) for i in (2, 1, 3, 4, 5)
    ]
    test = member("test_batch.bin", record(5, PLANES[5]) + record(6, PLANES[6]))
    return [test, *training, member("batches.meta.txt", b"airplane\n")]


@pytest.fixture
def archive(tmp_path: Path) -> MakeCifar:
    """CIFAR-10 with an archive of choice."""

    def make(holds: list[Member]) -> Cifar10:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as packed:
            for info, content in holds:
                packed.addfile(info, io.BytesIO(content))
        (tmp_path / "cifar.tar.gz").write_bytes(out.getvalue())

        class Tiny(Cifar10):
            files = (RemoteFile("cifar.tar.gz", "", None, sha256(out.getvalue())),)
            n_validation = 2

        return Tiny(name="cifar10")

    return make


def test_the_last_images_of_the_training_files_validate(
    archive: MakeCifar, tmp_path: Path
) -> None:
    corpus = archive(members()).load(tmp_path)

    assert corpus.labels is not None
    assert corpus.grey is not None
    assert {split: labels.tolist() for split, labels in corpus.labels.items()} == {
        "train": [0, 1, 2],
        "validation": [3, 4],
        "test": [5, 6],
    }
    assert corpus.shape == (32, 32)
    np.testing.assert_array_equal(corpus.grey.numpy(), luminance(PLANES[:3]))


def test_planes_are_red_green_and_blue_row_by_row(archive: MakeCifar, tmp_path: Path) -> None:
    plane = np.zeros((3, 32, 32), np.uint8)
    plane[:, 0, 1] = 200, 100, 50  # 0.299, 0.587 and 0.114 of these are 124.2
    plane[1, 31, 0] = 255
    holds = [member("test_batch.bin", record(9, plane)), *members()[1:]]

    test = archive(holds).read(tmp_path)["test"]

    assert test.labels.tolist() == [9]
    assert {tuple(place): int(test.grey[0][*place]) for place in np.argwhere(test.grey[0])} == {
        (0, 1): 124,
        (31, 0): 150,
    }


def without(name: str) -> list[Member]:
    return [(info, content) for info, content in members() if not info.name.endswith(name)]


def link(name: str, to: str) -> Member:
    info, _ = member(name, b"")
    info.type, info.linkname = tarfile.SYMTYPE, to
    return info, b""


def elsewhere(name: str) -> Member:
    info, content = member("x", b"evil")
    info.name = name
    return info, content


@pytest.mark.parametrize(
    ("holds", "told"),
    [
        (without("data_batch_3.bin"), r"expected files data_batch_3\.bin in it"),
        ([], r"expected files data_batch_1\.bin, .*test_batch\.bin in it"),
        (
            [*without("test_batch.bin"), link("test_batch.bin", "/etc/passwd")],
            r"expected files test_batch\.bin",
        ),
        (
            [*without("test_batch.bin"), elsewhere("../test_batch.bin")],
            r"expected files test_batch\.bin",
        ),
        (
            [*without("test_batch.bin"), member("test_batch.bin", b"\0" * 3072)],
            "records of 3073 bytes; got 3072 bytes",
        ),
        (
            [*without("test_batch.bin"), member("test_batch.bin", record(10, PLANES[0]))],
            "labels from 0 to 9; got 10",
        ),
    ],
)
def test_an_archive_that_holds_something_else_is_told(
    holds: list[Member], told: str, archive: MakeCifar, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=rf"cifar\.tar\.gz: (expected )?{told}") as error:
        archive(holds).load(tmp_path)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.rglob("*")] == ["cifar.tar.gz"]


def test_a_member_that_is_too_large_is_not_read(
    archive: MakeCifar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar, "MAX_BYTES", 2 * 3073 - 1)

    with pytest.raises(DataError, match=r"expected files test_batch\.bin in it"):
        archive(members()).load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not an archive", b"\x1f\x8b\x08\0cut off"])
def test_a_file_that_is_no_archive_is_told(
    content: bytes, archive: MakeCifar, tmp_path: Path
) -> None:
    data = archive(members())
    (tmp_path / "cifar.tar.gz").write_bytes(content)

    with pytest.raises(DataError, match=r"cifar\.tar\.gz: cannot be unpacked \(.*\): fetch"):
        data.read(tmp_path)
    with pytest.raises(DataError, match="checksum is wrong"):
        data.load(tmp_path)
