"""Pictures as grey squares: luminance, the middle, fewer pixels; files that are no pictures."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trainables.data import pictures
from trainables.data.files import DataError
from trainables.data.pictures import luminance, read_picture, resize


def encoded(picture: Image.Image, format: str = "PNG", **options: Any) -> bytes:  # noqa: A002
    out = io.BytesIO()
    picture.save(out, format, **options)
    return out.getvalue()


def of_array(array: np.ndarray) -> bytes:
    return encoded(Image.fromarray(array))


@pytest.mark.parametrize(
    ("red", "green", "blue", "grey"),
    [
        (0, 0, 0, 0),
        (255, 255, 255, 255),
        (255, 0, 0, 76),  # 0.299 of 255 is 76.2
        (0, 255, 0, 150),  # 0.587: 149.7
        (0, 0, 255, 29),  # 0.114: 29.1
        (200, 100, 50, 124),  # 59.8 + 58.7 + 5.7 = 124.2
    ],
)
def test_the_luminance_of_colours(red: int, green: int, blue: int, grey: int) -> None:
    planes = np.array([red, green, blue], np.uint8).reshape(1, 3, 1, 1)

    assert luminance(planes).tolist() == [[[grey]]]


def test_a_picture_is_as_grey_from_a_file_as_from_an_array() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)

    of_file = read_picture(of_array(colours), "x.png", 64)

    np.testing.assert_array_equal(of_file, luminance(colours.transpose(2, 0, 1)[None])[0])


def test_many_images_are_as_grey_as_each(monkeypatch: pytest.MonkeyPatch) -> None:
    planes = np.random.default_rng(0).integers(0, 256, (5, 3, 2, 2), np.uint8)
    each = [luminance(image[None])[0] for image in planes]
    monkeypatch.setattr(pictures, "_AT_ONCE", 2)

    np.testing.assert_array_equal(luminance(planes), each)


def test_half_as_many_pixels_are_means_of_their_neighbourhoods() -> None:
    # A triangle over the four pixels round the middle of two: weights 1/8, 3/8, 3/8, 1/8.
    row = np.array([0, 0, 0, 80, 160, 0, 0, 0], np.uint8)
    image = np.tile(row, (8, 1))[None]

    # At the ends the weights that fall outside are left out: 3, 3, 1 of 7.
    #   0, 0, 0 -> 0; 0, 0, 80, 160 -> 30 + 20; 80, 160, 0, 0 -> 10 + 60; 0, 0, 0 -> 0
    assert resize(image, 4).tolist() == [[[0, 50, 70, 0]] * 4]


def test_images_of_the_side_stay_as_they_are() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (3, 5, 5), np.uint8)

    np.testing.assert_array_equal(resize(grey, 5), grey)


def test_the_middle_square_is_taken() -> None:
    wide = np.tile(np.arange(10, dtype=np.uint8), (4, 1))
    tall = wide.T.copy()

    assert read_picture(of_array(wide), "x", 4).tolist() == [[3, 4, 5, 6]] * 4
    np.testing.assert_array_equal(
        read_picture(of_array(tall), "x", 4), read_picture(of_array(wide), "x", 4).T
    )
    assert read_picture(of_array(wide), "x", 2, crop=2).tolist() == [[4, 5]] * 2


def test_a_picture_is_turned_as_its_camera_noted() -> None:
    picture = Image.fromarray(np.array([[0, 255], [0, 255]], np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the left column is the top row

    turned = read_picture(encoded(picture, exif=exif), "x", 2)

    assert turned.tolist() == [[0, 0], [255, 255]]


def test_palettes_and_opaque_pictures_are_their_colours() -> None:
    red = Image.new("RGB", (4, 4), (255, 0, 0))

    for picture in (red, red.convert("P"), red.convert("RGBA"), red.quantize(2)):
        assert read_picture(encoded(picture), "x", 4).tolist() == [[76] * 4] * 4
    ink = Image.new("1", (4, 4), 1)
    assert read_picture(encoded(ink), "x", 4).tolist() == [[255] * 4] * 4


def png(width: int, height: int) -> bytes:
    """A PNG file that claims so many pixels and has none of them."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        summed = kind + content
        return struct.pack(">I", len(content)) + summed + struct.pack(">I", zlib.crc32(summed))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


GREY = Image.new("L", (8, 8), 3)
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", r"cannot be read as a picture \(of no known format\)"),
        (b"GIF89a", "of no known format"),
        (encoded(NOISE)[:-30], r"cannot be read as a picture \(.*truncated"),
        (encoded(NOISE, "JPEG")[:-30], r"cannot be read as a picture \(.*truncated"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "of no known format"),
        (png(8, 8), "cannot be read as a picture"),
        (png(9_000, 9_000), "more than 50000000 pixels"),
        (png(10_000, 10_000), "more than 50000000 pixels"),  # of which Pillow warns
        (png(60_000, 60_000), "more than 50000000 pixels"),  # which Pillow refuses
        (encoded(Image.new("I;16", (8, 8), 700)), r"more than 8 bits \(I;16\): convert"),
        (encoded(Image.new("F", (8, 8), 0.5), "TIFF"), r"more than 8 bits \(F\): convert"),
        (encoded(Image.new("RGBA", (8, 8), (1, 2, 3, 254))), "partly transparent: put it"),
        (encoded(Image.new("LA", (8, 8), (1, 0))), "partly transparent"),
        (encoded(Image.new("L", (8, 6))), "8 x 6 pixels, fewer than the 7 a side"),
    ],
)
def test_what_is_no_picture_for_us_is_told_in_one_line(content: bytes, told: str) -> None:
    with pytest.raises(DataError, match=rf"^cats/tom\.png: .*{told}") as error:
        read_picture(content, "cats/tom.png", 7)
    assert "\n" not in str(error.value)
    assert "BytesIO" not in str(error.value)


def test_a_file_that_is_too_large_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_BYTES", 10)

    with pytest.raises(DataError, match=r"^x\.png: [0-9]+ bytes are too many"):
        read_picture(encoded(GREY), "x.png", 8)


def test_a_crop_that_is_larger_than_the_picture_is_told() -> None:
    with pytest.raises(DataError, match="8 x 8 pixels, fewer than the 9 a side"):
        read_picture(encoded(GREY), "x", 4, crop=9)
