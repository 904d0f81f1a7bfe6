"""Augmentations that do not suit the data are refused, with the way out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hpo.data.study import load_data
from hpo.errors import StudyFileError
from hpo.studyfile.file import read_study_file
from tests.studyfile.texts import study_text


def load(folder: Path, dataset: str, augmentation: str, **tables: str) -> None:
    path = folder / "study.toml"
    path.write_text(study_text(data=f"dataset = {dataset!r}", augmentation=augmentation, **tables))
    load_data(read_study_file(path))


@pytest.mark.parametrize(
    ("dataset", "keys"),
    [
        ("digits", ("shift", "rotate", "scale", "flip", "noise", "mixup")),
        ("wine", ("noise", "feature_dropout", "mixup")),
        ("walks.npz", ("scale", "noise", "time_mask")),
    ],
)
def test_keys_that_suit_the_data_are_taken_and_others_refused(
    dataset: str, keys: tuple[str, ...], tmp_path: Path
) -> None:
    steps = np.random.default_rng(0).normal(size=(40, 5, 2))
    np.savez(tmp_path / "walks.npz", X=steps, lengths=[5] * 40, y=np.arange(40) % 2)
    load(tmp_path, dataset, "\n".join(f"{key} = 0.1" for key in keys))
    every = {"shift", "rotate", "scale", "flip", "noise", "time_mask", "feature_dropout", "word_dropout", "mixup"}
    for key in every - {*keys}:
        load(tmp_path, dataset, f"{key} = 0.0")
        for value in ("0.5", "{ low = 0.0, high = 0.5 }", "{ choice = [0.0, 0.5] }"):
            with pytest.raises(StudyFileError, match=rf"augmentation\.{key} is .*Allowed here: .*, or set it to 0\."):
                load(tmp_path, dataset, f"{key} = {value}")


def test_the_way_to_word_dropout_is_told(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match=r"It hides words, so it needs a column of texts"):
        load(tmp_path, "wine", "word_dropout = 0.1")


def test_an_option_of_a_choice_of_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match=r"augmentation\.flip is 0\.5"):
        load(tmp_path, "wine", "choice = [{ noise = 0.1 }, { flip = 0.5 }]")


def test_columns_know_their_features(tmp_path: Path) -> None:
    rows = "".join(f"{row},{'' if row % 3 else row},{'ab'[row % 2]},{row % 2}\n" for row in range(60))
    (tmp_path / "table.csv").write_text(f"age,size,colour,kind\n{rows}")
    path = tmp_path / "study.toml"
    path.write_text(study_text(data='dataset = "table.csv"\ntarget = "kind"', augmentation="feature_dropout = 0.1"))
    main = load_data(read_study_file(path)).prepared.signature.main
    assert main.columns == ("age", "size", "size is missing", "colour = a", "colour = b")
    assert main.features == (0, 1, 1, 2, 2)
    assert main.numeric == 2
