"""A folder of images, by Pillow: in it, a folder for each class, with the images of the class."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpo.data.arrays import Arrays
from hpo.data.readers.files import wanting
from hpo.errors import DataError
from hpo.printable import on_one_line
from hpo.studyfile.records import DataTable

if TYPE_CHECKING:
    from PIL.Image import Image

ENDS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
TARGET = "folder"
GREY = ("1", "L", "LA")
COLOURED = ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Of Pillow, by the number of channels."""


def read_images(folder: Path, data: DataTable) -> Arrays:
    """The images of all classes, from 0 to 255. Raises `DataError` for a broken one, or where their sizes differ and
    `data.shape` does not say one."""
    try:
        from PIL import Image as pillow
    except ImportError:
        raise wanting(folder, "images", "Pillow", "images") from None
    if data.target not in (None, TARGET):
        raise DataError(
            f'data.target: "{data.target}" does not suit {folder}, where the class of an image is the folder it '
            "lies in. Leave data.target out."
        )
    classes, others = _listed(folder)
    files = [file for images in classes.values() for file in images]
    notes = [
        f"{others} files that are no images were left out." if others > 1 else "A file that is no image was left out."
    ]
    shape, noted = (data.shape, []) if data.shape else _common(files)
    if len(shape) != 3 or shape[0] not in MODES:
        raise DataError(
            f"data.shape: {list(shape)} does not suit images, [channels, height, width] with 1, 3 or 4 channels."
        )
    x = np.empty((len(files), *shape), np.uint8)
    for place, file in enumerate(files):
        with _opened(file) as image:
            x[place] = _pixels(image, file, shape, pillow.Resampling.BILINEAR)
    y = np.repeat(np.arange(len(classes)), [len(images) for images in classes.values()])
    return Arrays(
        name=folder.name,
        place=str(folder),
        x=x,
        y=y,
        y_name=TARGET,
        class_names=tuple(classes),
        notes=(*(notes if others else ()), *noted),
    )


def _listed(folder: Path) -> tuple[dict[str, list[Path]], int]:
    """The images of each class in the order of their names, and how many other files there are."""
    classes: dict[str, list[Path]] = {}
    others = 0
    for inside in sorted(folder.iterdir()):
        if not inside.is_dir():
            others += not inside.name.startswith(".")
        elif not inside.name.startswith("."):
            names = sorted(name for name in os.listdir(inside) if not name.startswith("."))
            images = [inside / name for name in names if name.lower().endswith(ENDS)]
            others += len(names) - len(images)
            classes |= {inside.name: images} if images else {}
    if not classes:
        raise DataError(
            f"{folder}: no images in its folders. It needs a folder for each class, e.g. {folder.name}/cat and "
            f"{folder.name}/dog, with images in it ({', '.join(ENDS)})."
        )
    return classes, others


def _common(files: list[Path]) -> tuple[tuple[int, ...], list[str]]:
    """The shape of all images; grey only if all are."""
    grey = 0
    first: tuple[int, int] | None = None
    clear = 0
    for file in files:
        with _opened(file) as image:
            first = first or image.size
            if image.size != first:
                raise DataError(
                    f"{file}: it is {_size(image.size)} pixels large, and {files[0]} is {_size(first)}. Images must "
                    f"be of a size; data.shape = [3, {first[1]}, {first[0]}] (channels, height, width) resizes them."
                )
            grey += image.mode in GREY
            clear += image.mode in ("LA", "RGBA", "PA")
    assert first is not None
    notes = [f"{grey} of the images are grey, and were read as coloured ones."] if 0 < grey < len(files) else []
    notes += ["The transparency of images was left out."] if clear else []
    return (1 if grey == len(files) else 3, first[1], first[0]), notes


def _opened(file: Path) -> Image:
    from PIL import Image as pillow

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pillow.open(file)
    except Exception as error:  # a damaged file can lead to any
        raise _broken(file, error) from None


def _pixels(image: Image, file: Path, shape: tuple[int, ...], bilinear: Any) -> NDArray[np.uint8]:
    if image.mode not in (*GREY, *COLOURED):
        raise DataError(f"{file}: its pixels are of the form {image.mode}; save it with 8 bits for each colour.")
    try:
        found = image.convert(MODES[shape[0]])
        if found.size != shape[:0:-1]:
            found = found.resize((shape[2], shape[1]), bilinear)
    except Exception as error:  # a damaged file can lead to any
        raise _broken(file, error) from None
    pixels = np.asarray(found)
    return pixels[None] if shape[0] == 1 else np.moveaxis(pixels, 2, 0)


def _broken(file: Path, error: Exception) -> DataError:
    said = on_one_line(str(error).replace(repr(str(file)), "the file").strip().rstrip("."))
    return DataError(f"{file}: it cannot be read as an image: {said}. Save it again, or take it out of the folder.")


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
