"""A folder of images by class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hpo.data.notes import grouped
from tests.data.readers.loading import load, refused

RANDOM = np.random.default_rng(0)


def image(path: Path, mode: str = "RGB", size: tuple[int, int] = (5, 4)) -> None:
    """Of that width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RANDOM.integers(0, 256, (size[1], size[0], 3), np.uint8)).convert(mode).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(6):
        image(tmp_path / "photos" / ("dog" if number % 2 else "cat") / f"{number}.png")
    return tmp_path / "photos"


def test_the_folder_is_the_class(photos: Path) -> None:
    dataset = load(photos.parent, "photos/")
    assert (dataset.name, dataset.kind, dataset.task) == ("photos", "image", "classification")
    assert (dataset.class_names, dataset.target_name) == (("cat", "dog"), "folder")
    assert dataset.target_N.tolist() == [0, 0, 0, 1, 1, 1]
    assert dataset.numeric.shape == (6, 3, 4, 5)
    expected = np.asarray(Image.open(photos / "dog" / "1.png")).transpose(2, 0, 1)
    np.testing.assert_array_equal(dataset.numeric[3], expected)
    assert load(photos.parent, "photos").fingerprint == dataset.fingerprint
    assert tuple(grouped(dataset.notes)) == ()


@pytest.mark.parametrize("end", ["png", "jpg", "bmp", "gif", "webp", "tif", "JPEG"])
def test_every_format_of_images(photos: Path, end: str) -> None:
    image(photos / "dog" / f"9.{end}")
    assert load(photos.parent, "photos").size == 7


def test_grey_only_if_all_are(photos: Path) -> None:
    for file in photos.glob("*/*"):
        image(file, mode="L")
    assert load(photos.parent, "photos").numeric.shape == (6, 1, 4, 5)
    image(photos / "cat" / "1.png", mode="RGBA")
    mixed = load(photos.parent, "photos")
    assert mixed.numeric.shape == (7, 3, 4, 5)
    assert tuple(grouped(mixed.notes)) == (
        "6 of the images are grey, and were read as coloured ones.",
        "The transparency of images was left out.",
    )


def test_sizes_that_differ_are_refused_until_one_is_declared(photos: Path) -> None:
    image(photos / "dog" / "9.png", size=(8, 6))
    said = refused(photos.parent, "photos")
    assert f"{photos / 'dog' / '9.png'}: it is 8 x 6 pixels large, and {photos / 'cat' / '0.png'} is 5 x 4" in said
    assert "data.shape = [3, 4, 5]" in said
    assert load(photos.parent, "photos", shape=[3, 4, 5]).numeric.shape == (7, 3, 4, 5)
    assert load(photos.parent, "photos", shape=[1, 2, 2]).numeric.shape == (7, 1, 2, 2)
    assert load(photos.parent, "photos", shape=[4, 4, 5]).numeric[0, 3].min() == 255
    assert "[2, 4, 5] does not suit images" in refused(photos.parent, "photos", shape=[2, 4, 5])


def test_other_files_are_left_out(photos: Path) -> None:
    image(photos / "dog" / ".hidden.png", size=(9, 9))
    (photos / "dog" / "Thumbs.db").write_bytes(b"x")
    (photos / "readme.txt").write_text("about")
    (photos / ".git").mkdir()
    (photos / "empty").mkdir()
    dataset = load(photos.parent, "photos")
    assert (dataset.size, dataset.class_names) == (6, ("cat", "dog"))
    assert tuple(grouped(dataset.notes)) == ("2 files that are no images were left out.",)


def test_broken_images_are_named(photos: Path) -> None:
    file = photos / "dog" / "5.png"
    whole = file.read_bytes()
    for content in (b"", b"nonsense", whole[:40], whole[:-25]):
        file.write_bytes(content)
        assert f"{file}: it cannot be read as an image" in refused(photos.parent, "photos")
    Image.fromarray(np.zeros((4, 5), np.uint16)).save(file)
    assert f"{file}: its pixels are of the form I;16" in refused(photos.parent, "photos")


def test_folders_without_classes(photos: Path) -> None:
    assert "no images in its folders" in refused(photos, "cat/")
    assert "the class of an image is the folder" in refused(photos.parent, "photos", target="label")
    for file in (photos / "dog").iterdir():
        file.unlink()
    assert "nothing to learn" in refused(photos.parent, "photos")
    assert 'data.task = "classification"' in refused(photos.parent, "photos", task="regression")
