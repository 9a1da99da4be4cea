"""Reviews from Yelp: the corpus of Yang et al. (2017), and short sentences of Shen et al. (2020).

https://arxiv.org/abs/1702.08139 and https://arxiv.org/abs/1905.12777.
"""

from pathlib import Path
from typing import ClassVar, Literal

from trainables.data.corpus import RemoteFile
from trainables.data.files import read_content
from trainables.data.sentences import Text, ThreeFiles, WithoutTrainingFile
from trainables.data.text import read_labelled

_TERMS = "academic and non-commercial use only, by Yelp's terms for its open data set"


class Yelp(ThreeFiles):
    """Yelp reviews with their ratings, 100,000 to train on, as published; you supply the files.

    There are 10,000 validation and 10,000 test reviews of about 96 words. A line is a label, a tab
    and the review's words; words outside the 20,000 that were kept are `_UNK`. The labels are
    `Corpus.labels`. No checksum of the whole files is published, so `Corpus.sha256` is
    that of the files that are there.

    Licence: Yelp's terms limit it to academic, non-commercial use.
    """

    labelled: ClassVar[bool] = True
    licence: ClassVar[str] = _TERMS
    source: ClassVar[str] = (
        "github.com/fangleai/Implicit-LVM (lang_model_yelp/data) or the data that "
        "github.com/jxhe/vae-lagging-encoder points to"
    )
    files: ClassVar[tuple[RemoteFile, ...]] = (
        RemoteFile("yelp/yelp.train.txt", "", None),
        RemoteFile("yelp/yelp.valid.txt", "", None),
        RemoteFile("yelp/yelp.test.txt", "", None),
    )

    name: Literal["yelp"]

    def read_file(self, file: RemoteFile, path: Path) -> Text:
        """Return the sentences and the labels of one file."""
        return Text(*read_labelled(read_content(file, path), path))


class YelpShort(WithoutTrainingFile):
    """Short Yelp sentences for small experiments, another corpus than `yelp`: NLLs differ.

    Sentences of at most 15 words, from Shen et al. (2020). It trains on 9,000 sentences of their
    validation file, a fixed random choice, and validates on its other 1,000, so NLLs are neither
    those published for `yelp` nor those of Shen et al. The text marks no unknown words: set
    `max_vocabulary`, or a model never sees one before it is evaluated.

    Licence: as `yelp`.
    """

    licence: ClassVar[str] = f"{_TERMS}; NLLs are not the published ones: another, small corpus"
    unknown: ClassVar[str] = "<unk>"
    source: ClassVar[str] = (
        "github.com/sagarjounkani/text-autoencoders (data/yelp, validation and test file, packed "
        "by gzip)"
    )
    files: ClassVar[tuple[RemoteFile, ...]] = (
        RemoteFile(
            "yelp-short/yelp-short.valid.txt.gz",
            "",
            156_353,
            "e5c9e1abe799ed64162f1f408b3d6b774001cc1d0e64d9588ccdff5e65c80b93",
        ),
        RemoteFile(
            "yelp-short/yelp-short.test.txt.gz",
            "",
            152_562,
            "42316627d9123bd7254fe6aee702dc0a007b0a0c270769f9736da978e882f8bf",
        ),
    )

    name: Literal["yelp_short"]
