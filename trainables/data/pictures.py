"""Pictures as grey squares: decoding files, luminance, the middle, fewer pixels."""

import io
import warnings
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image, ImageOps, UnidentifiedImageError

from trainables.data.files import DataError

SUFFIXES = frozenset(
    (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
)
MAX_BYTES = 64 * 2**20  # of a file
MAX_PIXELS = 50_000_000  # of a picture; a small file can claim any number of them

# The formats of SUFFIXES alone: others start other programs (EPS) or are seldom meant.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_DEEPER = ("I", "F")  # modes of more than 8 bits a value, "I;16" too
_AT_ONCE = 4096  # images


def read_picture(
    content: bytes, name: str, side: int, crop: int | None = None
) -> UInt8[ndarray, "side side"]:
    """Decode a picture into grey values, of its middle square, `side` pixels a side.

    The square has the picture's shorter side, or `crop` pixels. A picture is turned as its camera
    noted; of an animation the first one counts.

    Raises `DataError`, which names the picture, where it cannot be decoded, is partly transparent,
    has values of more than 8 bits or more than `MAX_PIXELS` pixels, and where it is smaller.
    """
    if len(content) > MAX_BYTES:
        raise DataError(f"{name}: {len(content)} bytes are too many for a picture: remove it.")
    try:
        with warnings.catch_warnings():
            # Pillow warns of some sizes, and refuses twice as large ones; here both are refused.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return _decode(content, name, side, crop)
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(name) from error
    except Exception as error:  # decoders of broken bytes raise whatever they stumble over
        unknown = isinstance(error, UnidentifiedImageError)
        why = (
            "of no known format"
            if unknown
            else " ".join(str(error).split()) or type(error).__name__
        )
        raise DataError(f"{name}: cannot be read as a picture ({why}): remove it.") from error


def _decode(content: bytes, name: str, side: int, crop: int | None) -> UInt8[ndarray, "side side"]:
    with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
        if opened.width * opened.height > MAX_PIXELS:  # only the header has been read
            raise _too_large(name)
        if opened.mode.startswith(_DEEPER):
            raise DataError(
                f"{name}: has values of more than 8 bits ({opened.mode}): convert it to 8 bits."
            )
        picture: Image.Image = ImageOps.exif_transpose(opened)
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            lowest, _ = picture.getchannel("A").getextrema()
            if lowest != 255:
                raise DataError(f"{name}: is partly transparent: put it on a background.")
            picture = picture.convert("RGB")
        return _square(picture.convert("L"), name, side, crop)


def _square(picture: Image.Image, name: str, side: int, crop: int | None) -> Any:
    width, height = picture.size
    edge = min(width, height) if crop is None else crop
    if min(width, height) < max(edge, side):
        raise DataError(
            f"{name}: has {width} x {height} pixels, fewer than the {max(edge, side)} a side that "
            "are asked for: choose a smaller side, or remove it."
        )
    left, top = (width - edge) // 2, (height - edge) // 2
    middle = picture.crop((left, top, left + edge, top + edge))
    return np.asarray(_scaled(middle, side)).copy()


def _scaled(picture: Image.Image, side: int) -> Image.Image:
    # A triangle over all the pixels that become one, as torchvision's Resize of a picture.
    return picture.resize((side, side), Image.Resampling.BILINEAR)


def _too_large(name: str) -> DataError:
    return DataError(f"{name}: has more than {MAX_PIXELS} pixels: make it smaller.")


def resize(grey: UInt8[ndarray, "N H W"], side: int) -> UInt8[ndarray, "N side side"]:
    """Scale square images down, as `read_picture` does; those of the side stay as they are."""
    if grey.shape[1:] == (side, side):
        return grey
    small = np.empty((len(grey), side, side), np.uint8)
    for image, target in zip(grey, small, strict=True):
        target[:] = np.asarray(_scaled(Image.fromarray(image), side))
    return small


def luminance(planes: UInt8[ndarray, "N 3 H W"]) -> UInt8[ndarray, "N H W"]:
    """Turn red, green and blue into grey, by ITU-R 601-2: 0.299 R + 0.587 G + 0.114 B, rounded.

    In 16 bits of fraction, as Pillow counts, so that a picture is as grey from a file as from an
    array.
    """
    weights = np.array([19595, 38470, 7471], np.uint32)  # they add up to 2^16
    grey = np.empty((len(planes), *planes.shape[2:]), np.uint8)
    for start in range(0, len(planes), _AT_ONCE):
        part = planes[start : start + _AT_ONCE].astype(np.uint32)
        weighted = np.einsum("nchw,c->nhw", part, weights)
        grey[start : start + _AT_ONCE] = (weighted + 0x8000) >> 16
    return grey
