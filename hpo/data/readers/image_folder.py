"""A folder of images, by Pillow: in it, a folder for each class, with the images of the class."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from hpo.data.arrays import Arrays
from hpo.data.notes import Note
from hpo.data.readers.pixels import GREY, MODES, opened, pixels, refuse_no_pillow
from hpo.errors import DataError
from hpo.studyfile.records import DataTable

ENDS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
TARGET = "folder"


def read_images(folder: Path, data: DataTable) -> Arrays:
    """The images of all classes, from 0 to 255. Raises `DataError` for a broken one, or where their sizes differ and
    `data.shape` does not say one."""
    refuse_no_pillow(folder)
    if data.target not in (None, TARGET):
        raise DataError(
            f'data.target: "{data.target}" does not suit {folder}, where the class of an image is the folder it '
            "lies in. Leave data.target out."
        )
    classes, others = _listed(folder)
    files = [file for images in classes.values() for file in images]
    other = f"{others} files that are no images were" if others > 1 else "A file that is no image was"
    notes = [Note(kind="left_out", text=f"{other} left out")] if others else []
    shape, noted = (data.shape, []) if data.shape else _common(files)
    if len(shape) != 3 or shape[0] not in MODES:
        raise DataError(
            f"data.shape: {list(shape)} does not suit images, [channels, height, width] with 1, 3 or 4 channels."
        )
    x = np.empty((len(files), *shape), np.uint8)
    for place, file in enumerate(files):
        with opened(file) as image:
            x[place] = pixels(image, file, shape)
    y = np.repeat(np.arange(len(classes)), [len(images) for images in classes.values()])
    return Arrays(
        name=folder.name,
        place=str(folder),
        x=x,
        y=y,
        y_name=TARGET,
        class_names=tuple(classes),
        notes=(*notes, *noted),
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


def _common(files: list[Path]) -> tuple[tuple[int, ...], list[Note]]:
    """The shape of all images; grey only if all are."""
    grey = 0
    first: tuple[int, int] | None = None
    clear = 0
    for file in files:
        with opened(file) as image:
            first = first or image.size
            if image.size != first:
                raise DataError(
                    f"{file}: it is {_size(image.size)} pixels large, and {files[0]} is {_size(first)}. Images must "
                    f"be of a size; data.shape = [3, {first[1]}, {first[0]}] (channels, height, width) resizes them."
                )
            grey += image.mode in GREY
            clear += image.mode in ("LA", "RGBA", "PA")
    assert first is not None
    notes: list[Note] = []
    if 0 < grey < len(files):
        notes.append(Note(kind="read_as", text=f"{grey} of the images are grey, and were read as coloured ones"))
    if clear:
        notes.append(Note(kind="left_out", text="The transparency of images was left out"))
    return (1 if grey == len(files) else 3, first[1], first[0]), notes


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
