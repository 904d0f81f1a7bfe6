"""Texts as tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.data.columns.words import Corpus, tokens_of, words_of
from hpo.data.dataset import Dataset
from hpo.data.notes import grouped
from hpo.data.preprocessing.apply import apply
from hpo.data.study import load_data
from hpo.errors import DataError
from hpo.studyfile.file import read_study_file
from tests.data.fitting import columns_of, fit

TEXTS = ["It's GOOD, really good!", None, "bad; bad... Größe 42", "", "good good bad"]
CELLS = st.none() | st.text(st.sampled_from("ab'’ .Ü"), max_size=12)


def of(texts: list[list[str | None]]) -> Dataset:
    size = len(texts)
    return Dataset(
        name="made",
        kind="text",
        task="classification",
        numeric=np.empty((size, 0)),
        numeric_names=(),
        categorical_NK=np.empty((size, 0), dtype=object),
        categorical_names=(),
        target_N=np.arange(size) % 2,
        target_name="y",
        class_names=("a", "b"),
        texts_NW=np.array(texts, dtype=object).reshape(size, -1),
        text_names=tuple(f"text{number}" for number in range(len(texts[0]))),
    )


def test_words_and_marks() -> None:
    assert words_of(TEXTS[:1]) == ["it's", "good", ",", "really", "good", "!"]
    assert words_of(TEXTS[1:3]) == ["bad", ";", "bad", ".", ".", ".", "größe", "42"]


def test_the_most_frequent_words_have_the_first_tokens_and_ties_are_in_order() -> None:
    corpus = Corpus.of(np.array(TEXTS, dtype=object)[:, None])
    all_N = np.arange(len(TEXTS))
    assert corpus.vocabulary(all_N, 9, 2) == ("good", ".", "bad")
    assert corpus.vocabulary(all_N, 5, 1) == ("good", ".", "bad", "!", ",")
    assert corpus.vocabulary(np.array([0]), 9, 2) == ("good",)
    tokens = corpus.tokens(all_N, ("good", "bad"), 3)
    assert tokens.tolist() == [[1, 2, 1], [1, 0, 0], [3, 1, 3], [1, 0, 0], [2, 2, 3]]


@settings(deadline=None)
@given(st.lists(st.lists(CELLS, min_size=2, max_size=2)), st.integers(1, 6))
def test_one_text_and_many_are_read_alike(texts: list[list[str | None]], length: int) -> None:
    corpus = Corpus.of(np.array(texts, dtype=object).reshape(len(texts), 2))
    all_N = np.arange(len(texts))
    vocabulary = corpus.vocabulary(all_N, 3, 1)
    tokens = corpus.tokens(all_N, vocabulary, length)
    assert tokens.tolist() == tokens_of(texts, vocabulary, length).tolist()


def test_the_vocabulary_is_that_of_the_training_part_and_its_size_that_of_all_folds() -> None:
    dataset = of([["red red"], ["red blue blue"], ["blue green green"], ["green"]])
    parts = [np.array([0, 1]), np.array([1, 2]), np.array([3])]
    columns = columns_of(dataset, parts, min_count=1)
    assert (columns.vocabulary, columns.tokens) == (5, 3)
    first, second, third = (fit(dataset, part, columns, min_count=1) for part in parts)
    assert (first.words, second.words, third.words) == (("red", "blue"), ("blue", "green", "red"), ("green",))
    assert len({one.signature for one in (first, second, third)}) == 1
    assert apply(first, dataset, np.arange(4)).tolist() == [[2, 2, 0], [2, 3, 3], [3, 1, 1], [1, 0, 0]]


def test_the_study_sets_size_count_and_length() -> None:
    dataset = of([["a b c d e f", "g"], ["a b", None], ["a", "c"]])
    all_N = np.arange(3)
    assert fit(dataset, all_N).words == ("a", "b", "c")
    assert fit(dataset, all_N, min_count=3).words == ("a",)
    assert fit(dataset, all_N, vocabulary=2).words == ("a", "b")
    short = fit(dataset, all_N, max_tokens=2)
    assert (short.tokens, short.signature.shape) == (2, (2,))
    assert apply(short, dataset, all_N).tolist() == [[2, 3], [2, 3], [2, 4]]
    long = of([["word " * 2000], *[["word"]] * 9])
    assert fit(long, np.arange(10)).tokens == 512


def test_texts_of_rare_words_alone_are_refused() -> None:
    dataset = of([["red"], ["green"], ["blue"]])
    with pytest.raises(DataError, match=r"no word of .* occurs 2 times in the training part.*data\.min_count"):
        columns_of(dataset, [np.arange(3)])
    assert columns_of(dataset, [np.arange(3)], min_count=1).vocabulary == 5


@pytest.mark.parametrize(("most", "said"), [(4, True), (30, False)])
def test_columns_of_texts_that_are_cut_are_told(most: int, said: bool, tmp_path: Path) -> None:
    rows = ["title,body,y", *(f"dress {n % 5},it fits and number {n % 3} is the best,{n % 2}" for n in range(60))]
    (tmp_path / "two.csv").write_text("\n".join(rows))
    (tmp_path / "two.toml").write_text(
        f"""
[study]
name = "two"
objective = "accuracy"
[data]
dataset = "two.csv"
target = "y"
max_tokens = {most}
columns = {{ title = "text", body = "text" }}
[model]
family = "mlp"
[optimizer]
name = "adam"
"""
    )
    notes = grouped(load_data(read_study_file(tmp_path / "two.toml")).dataset.notes)
    assert any("up to 4 words of a row together, which 100.00% of the rows reach" in note for note in notes) == said
    assert any(note.endswith(": title, then body.") for note in notes) == said
