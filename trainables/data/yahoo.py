"""Questions and answers from Yahoo Answers, as Yang et al. (2017) prepared them.

https://arxiv.org/abs/1702.08139; also used by Kim et al. (2018) and He et al. (2019).
"""

from typing import ClassVar, Literal

from trainables.data.corpus import RemoteFile
from trainables.data.sentences import ThreeFiles, WithoutTrainingFile

_HOME = (
    "https://raw.githubusercontent.com/harvardnlp/DeepLatentNLP/"
    "7fa2d61beea8a3e9497d5931e2d3fe73dec7cfb6/data/yahoo"
)
_VALID = "3247ac3ffcc4d4bfd6216f2aaa617f6706cdc4081874da39245fe156825898d1"
_TEST = "ad843c4363adbdd07d8055d9bf121e5f23c285760df43a0031b89d8538293075"
_TERMS = "non-commercial research only, by Yahoo's terms for its Answers corpus"


class Yahoo(ThreeFiles):
    """Yahoo Answers, 100,000 training sentences of 20 to 200 words, as published.

    There are 10,000 validation and 10,000 test sentences. Words outside the 20,000 that were kept
    are `_UNK` in the files; it is predicted like any other word. The validation and the test
    split are in order of topic.

    Licence: Yahoo's terms limit the corpus that these are from to non-commercial research.
    """

    licence: ClassVar[str] = _TERMS
    files: ClassVar[tuple[RemoteFile, ...]] = (
        RemoteFile(
            "yahoo/train.txt",
            f"{_HOME}/train.txt",
            None,
            git_blob="ae7d4fc4d07e520dffdbd835868a1d7c7a6eb471",
        ),
        RemoteFile("yahoo/valid.txt", f"{_HOME}/val.txt", 3_683_468, _VALID),
        RemoteFile("yahoo/test.txt", f"{_HOME}/test.txt", 3_679_881, _TEST),
    )

    name: Literal["yahoo"]


class YahooSmall(WithoutTrainingFile):
    """A tenth of Yahoo Answers for small experiments; NLLs are not the published ones.

    It trains on 9,000 sentences of the published validation file, a fixed random choice, and
    validates on its other 1,000, so NLLs must not be set beside those of models that trained on
    `yahoo`. The test split is the published one.

    Licence: as `yahoo`.
    """

    licence: ClassVar[str] = f"{_TERMS}; NLLs are not the published ones: no training file"
    source: ClassVar[str] = (
        "github.com/harvardnlp/DeepLatentNLP (data/yahoo/val.txt and test.txt, packed by gzip)"
    )
    files: ClassVar[tuple[RemoteFile, ...]] = (
        RemoteFile("yahoo/yahoo.valid.txt.gz", "", 1_325_619, _VALID),
        RemoteFile("yahoo/yahoo.test.txt.gz", "", 1_325_680, _TEST),
    )

    name: Literal["yahoo_small"]
