"""Models by name: p(z) p(x|z) with an inference network q(z|x)."""

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from trainables.models.config import ModelConfig
from trainables.models.images.gated import ResNetGatedConfig
from trainables.models.images.masked import ResNetMaskedConfig
from trainables.models.images.mlp import ImageMlpConfig
from trainables.models.model import Model
from trainables.models.sentence import SentenceLstmConfig
from trainables.models.symbol import SymbolMlpConfig
from trainables.models.text import TextLstmConfig

__all__ = ["MODELS", "AnyModel", "Model", "ModelConfig"]

MODELS: dict[str, type[ModelConfig]] = {
    "symbol_mlp": SymbolMlpConfig,
    "sentence_lstm": SentenceLstmConfig,
    "text_lstm": TextLstmConfig,
    "resnet_masked": ResNetMaskedConfig,
    "resnet_gated": ResNetGatedConfig,
    "image_mlp": ImageMlpConfig,
}

if TYPE_CHECKING:
    AnyModel = ModelConfig
else:
    AnyModel = Annotated[reduce(or_, MODELS.values()), Field(discriminator="name")]
