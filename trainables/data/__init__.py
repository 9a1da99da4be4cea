"""Data sets by name. A new one is a file beside these and a line in `DATA`."""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from trainables.data.celeba import CelebA
from trainables.data.cifar import Cifar10
from trainables.data.corpus import DataConfig
from trainables.data.emnist import Emnist
from trainables.data.image_folder import ImageFolder
from trainables.data.medmnist import MedMnist
from trainables.data.mnist import FashionMnist, Mnist
from trainables.data.omniglot import Omniglot, Omniglot28
from trainables.data.ptb import PennTreebank
from trainables.data.symbols import Symbols
from trainables.data.yahoo import Yahoo, YahooSmall
from trainables.data.yelp import Yelp, YelpShort

DATA: dict[str, type[DataConfig]] = {
    "symbols": Symbols,
    "ptb": PennTreebank,
    "yahoo": Yahoo,
    "yahoo_small": YahooSmall,
    "yelp": Yelp,
    "yelp_short": YelpShort,
    "omniglot": Omniglot,
    "omniglot28": Omniglot28,
    "mnist": Mnist,
    "fashion_mnist": FashionMnist,
    "emnist": Emnist,
    "cifar10": Cifar10,
    "celeba": CelebA,
    "medmnist": MedMnist,
    "image_folder": ImageFolder,
}

if TYPE_CHECKING:
    AnyData = DataConfig
else:
    # What a configuration may hold under `data`: the entry of `DATA` that its `name` tells.
    AnyData = Annotated[reduce(or_, DATA.values()), Field(discriminator="name")]
