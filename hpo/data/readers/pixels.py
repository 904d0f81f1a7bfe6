"""The pixels of one image, by Pillow."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hpo.data.readers.files import wanting
from hpo.errors import DataError
from hpo.printable import on_one_line

if TYPE_CHECKING:
    from PIL.Image import Image

GREY = ("1", "L", "LA")
COLOURED = ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Of Pillow, by the number of channels."""


def refuse_no_pillow(folder: Path) -> None:
    """Raise `DataError` where Pillow is not installed."""
    try:
        import PIL.Image  # noqa: F401 whether it is there
    except ImportError:
        raise wanting(folder, "images", "Pillow", "images") from None


def opened(file: Path) -> Image:
    """The image, of which only the beginning is read."""
    from PIL import Image as pillow

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pillow.open(file)
    except Exception as error:  # a damaged file can lead to any
        raise _broken(file, error) from None


def pixels(image: Image, file: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The pixels in this shape, [channels, height, width]; converted and resized where they have another."""
    from PIL import Image as pillow

    if image.mode not in (*GREY, *COLOURED):
        raise DataError(f"{file}: its pixels are of the form {image.mode}; save it with 8 bits for each colour.")
    try:
        found = image.convert(MODES[shape[0]])
        if found.size != shape[:0:-1]:
            found = found.resize((shape[2], shape[1]), pillow.Resampling.BILINEAR)
    except Exception as error:  # a damaged file can lead to any
        raise _broken(file, error) from None
    values = np.asarray(found)
    return values[None] if shape[0] == 1 else np.moveaxis(values, 2, 0)


def _broken(file: Path, error: Exception) -> DataError:
    said = on_one_line(str(error).replace(repr(str(file)), "the file").strip().rstrip("."))
    return DataError(f"{file}: it cannot be read as an image: {said}. Save it again, or take it out of the folder.")
