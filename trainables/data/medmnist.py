"""Small medical images in MNIST's manner (Yang et al., 2023): twelve sets of two dimensions."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from numpy import ndarray

from trainables.data.arrays import read_npz
from trainables.data.corpus import RemoteFile
from trainables.data.files import DataError, path_of, read_content
from trainables.data.images import ImageData, Images, checked
from trainables.data.pictures import luminance

_HOME = "https://zenodo.org/records/10519652/files"
# As INFO of the package medmnist 3.0 has them; they belong to its version of the files.
_MD5 = {
    "pathmnist": "a8b06965200029087d5bd730944a56c1",
    "chestmnist": "02c8a6516a18b556561a56cbdd36c4a8",
    "dermamnist": "0744692d530f8e62ec473284d019b0c7",
    "octmnist": "c68d92d5b585d8d81f7112f81e2d0842",
    "pneumoniamnist": "28209eda62fecd6e6a2d98b1501bb15f",
    "retinamnist": "bd4c0672f1bba3e3a89f0e4e876791e4",
    "breastmnist": "750601b1f35ba3300ea97c75c52ff8f6",
    "bloodmnist": "7053d0359d879ad8a5505303e11de1dc",
    "tissuemnist": "ebe78ee8b05294063de985d821c1c34b",
    "organamnist": "68e3f8846a6bd62f0c9bf841c0d9eacc",
    "organcmnist": "b9ceb9546e10131b32923c5bbeaea2b1",
    "organsmnist": "9ab87b696fb54e2a387ebe992d6ed5f1",
}
_SPLITS = {"train": "train", "validation": "val", "test": "test"}


class MedMnist(ImageData):
    """Medical images, 28 × 28, of twelve kinds; `subset` says which, by its published name.

    The splits are the published ones. Coloured images are their luminance. Labels are the
    published numbers of the classes; in `chestmnist`, which has fourteen findings that do not
    exclude one another, they say whether there is any. https://doi.org/10.1038/s41597-022-01721-8

    Licence: CC BY 4.0, of `dermamnist` CC BY-NC 4.0; not for clinical use.
    """

    licence: ClassVar[str] = (
        "CC BY 4.0, dermamnist CC BY-NC 4.0: Yang et al. 2023; not for clinical use"
    )
    files: ClassVar[tuple[RemoteFile, ...]] = tuple(
        RemoteFile(f"medmnist/{name}.npz", f"{_HOME}/{name}.npz?download=1", None, md5=md5)
        for name, md5 in _MD5.items()
    )

    name: Literal["medmnist"]
    subset: Literal[
        "pathmnist",
        "chestmnist",
        "dermamnist",
        "octmnist",
        "pneumoniamnist",
        "retinamnist",
        "breastmnist",
        "bloodmnist",
        "tissuemnist",
        "organamnist",
        "organcmnist",
        "organsmnist",
    ] = "pneumoniamnist"

    @property
    def needed(self) -> tuple[RemoteFile, ...]:
        """The file of the subset."""
        return tuple(file for file in self.files if file.name == f"medmnist/{self.subset}.npz")

    @property
    def fetched_as(self) -> str:
        """The name of the subset below that of all."""
        return f"{self.name}/{self.subset}"

    def read(self, root: Path) -> Mapping[str, Images]:
        """Return the published splits."""
        [file] = self.needed
        path = path_of(file, root)
        names = [f"{part}_{what}" for part in _SPLITS.values() for what in ("images", "labels")]
        arrays = read_npz(read_content(file, path), path, names)
        return {
            split: _read_split(arrays[f"{part}_images"], arrays[f"{part}_labels"], path)
            for split, part in _SPLITS.items()
        }


def _read_split(images: ndarray, labels: ndarray, path: Path) -> Images:
    if images.ndim == 4 and images.shape[-1] == 3 and images.dtype == "uint8":
        images = luminance(images.transpose(0, 3, 1, 2))
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise DataError(
            f"{path}: expected whole numbers [N, classes] as labels; got {labels.dtype} "
            f"{list(labels.shape)}."
        )
    one = labels[:, 0] if labels.shape[1] == 1 else labels.any(axis=1).astype("int64")
    return checked(images, one, path)
