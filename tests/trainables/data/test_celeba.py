"""CelebA: the publishers' lists, and pictures in an archive or a directory."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.trainables.data.test_image_folder import write
from tests.trainables.data.test_pictures import encoded
from trainables.data.celeba import CelebA
from trainables.data.corpus import Corpus
from trainables.data.files import DataError
from trainables.data.pictures import resize

SPLITS = {"000001.jpg": 0, "000002.jpg": 0, "000003.jpg": 2, "000004.jpg": 1, "000005.jpg": 0}
ATTRIBUTES = """5
Bald Male Smiling
000001.jpg -1  1 -1
000002.jpg -1 -1  1
000003.jpg  1  1 -1
000004.jpg -1 -1 -1
000005.jpg -1  1  1
"""


def face(number: int) -> Image.Image:
    """A grey picture of the published size, `number` in its middle square and white round it."""
    pixels = np.full((218, 178), 255, np.uint8)
    pixels[35 : 35 + 148, 15 : 15 + 148] = number
    return Image.fromarray(pixels)


def put(root: Path, *, packed: bool, **lists: str) -> CelebA:
    """Lay the files below `root`; give the data set without its published checksums."""
    partition = "".join(f"{name} {split}\n" for name, split in SPLITS.items())
    write(root, "celeba/list_eval_partition.txt", lists.get("partition", partition).encode())
    write(root, "celeba/list_attr_celeba.txt", lists.get("attributes", ATTRIBUTES).encode())
    faces = {name: encoded(face(int(name[:6])).convert("RGB")) for name in SPLITS}
    if packed:
        with zipfile.ZipFile(root / "celeba/img_align_celeba.zip", "w") as archive:
            for name, content in faces.items():
                archive.writestr(f"img_align_celeba/{name}", content)
            archive.writestr("../escaped.jpg", b"x")
    else:
        for name, content in faces.items():
            write(root, f"celeba/img_align_celeba/{name}", content)

    class Tiny(CelebA):
        files = tuple(file._replace(sha256="") for file in CelebA.files)

    return Tiny(name="celeba")


def load(data: CelebA, root: Path, **settings: Any) -> Corpus:
    return data.model_copy(update=settings).load(root)


@pytest.mark.parametrize("packed", [True, False])
def test_the_lists_say_what_is_in_which_split(packed: bool, tmp_path: Path) -> None:
    corpus = put(tmp_path, packed=packed).load(tmp_path)

    assert corpus.labels is not None
    assert corpus.grey is not None
    assert {split: labels.tolist() for split, labels in corpus.labels.items()} == {
        "train": [1, 0, 1],
        "validation": [0],
        "test": [1],
    }
    assert corpus.shape == (64, 64)
    # The middle square alone: no white from round it.
    assert corpus.grey.flatten(1).unique(dim=1).flatten().tolist() == [1, 2, 5]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["celeba", "prepared"]


def test_an_archive_and_its_directory_are_the_same_data(tmp_path: Path) -> None:
    checksums = {
        put(tmp_path / str(packed), packed=packed).load(tmp_path / str(packed)).sha256
        for packed in (True, False)
    }

    assert len(checksums) == 1


def test_another_attribute_and_side(tmp_path: Path) -> None:
    corpus = load(put(tmp_path, packed=True), tmp_path, attribute="Smiling", side=32)

    assert corpus.labels is not None
    assert corpus.labels["train"].tolist() == [0, 1, 1]
    assert corpus.shape == (32, 32)


def test_the_middle_is_scaled_down(tmp_path: Path) -> None:
    data = put(tmp_path, packed=False)
    pixels = np.random.default_rng(0).integers(0, 256, (218, 178), np.uint8)
    write(tmp_path, "celeba/img_align_celeba/000003.jpg", encoded(Image.fromarray(pixels)))

    image = data.read(tmp_path)["test"].grey

    np.testing.assert_array_equal(image, resize(pixels[None, 35:183, 15:163], 64))


@pytest.mark.parametrize(
    ("lists", "told"),
    [
        ({"partition": "000001.jpg 3\n"}, r"partition\.txt, line 1: expected .* '000001\.jpg 3'"),
        ({"partition": "000001.jpg 0\n../x.jpg 0\n"}, r"line 2: expected .*'\.\./x\.jpg 0'"),
        ({"partition": "000009.jpg 0\n"}, r"every picture's attributes; not so 000009\.jpg"),
        ({"attributes": "5\n"}, "no attribute 'Male'"),
        ({"attributes": "1\nBald Male\n000001.jpg 1\n"}, "line 3: expected .* 2 times 1 or -1"),
        ({"attributes": "1\nBald Male\n000001.jpg 1 0\n"}, "line 3: expected .* 2 times 1 or -1"),
    ],
)
def test_lists_of_another_form_are_told(lists: dict[str, str], told: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=told) as error:
        put(tmp_path, packed=False, **lists).load(tmp_path)
    assert "\n" not in str(error.value)


def test_an_unknown_attribute_is_told_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'Happy': set data.attribute to one of Bald, Male, Smil"):
        load(put(tmp_path, packed=True), tmp_path, attribute="Happy")


def test_a_picture_that_is_not_there_or_broken_is_told(tmp_path: Path) -> None:
    data = put(tmp_path, packed=False)
    broken = tmp_path / "celeba/img_align_celeba/000002.jpg"
    broken.write_bytes(b"broken")
    with pytest.raises(
        DataError, match=r"^celeba/img_align_celeba/000002\.jpg: cannot be read as a picture"
    ):
        data.load(tmp_path)
    broken.unlink()
    with pytest.raises(DataError, match=r"img_align_celeba lacks 000002\.jpg"):
        data.load(tmp_path)


def test_the_files_that_lack_are_told_with_where_to_get_them(tmp_path: Path) -> None:
    told = r"lacks celeba/img_align_celeba\.zip, .*: get them from mmlab\.ie\.cuhk\.edu\.hk"
    with pytest.raises(DataError, match=told):
        CelebA(name="celeba").load(tmp_path)
    put(tmp_path, packed=False)
    with pytest.raises(DataError, match="checksum is wrong of celeba/list_eval_partition"):
        CelebA(name="celeba").load(tmp_path)
