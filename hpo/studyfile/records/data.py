"""`[data]`: the examples and their parts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hpo.studyfile.records.base import Count, Record

ColumnKind = Literal["numeric", "categorical", "date", "text", "identifier", "ignored"]

Mark = Annotated[str, Field(min_length=1, max_length=1)]
"""One character."""


class DataTable(Record):
    """Where the examples come from and how they are split."""

    dataset: Annotated[str, Field(min_length=1)]
    """A name of the catalogue, e.g. digits or wine, the path of a file or of a folder of images, relative to the study
    file, or a function, FILE.py:NAME or PACKAGE.MODULE:NAME."""
    target: str | None = None
    """Column to predict, needed for a table; for arrays a file, e.g. labels.npy, or `last`, the last column."""
    task: Literal["auto", "classification", "regression"] = "auto"
    """`auto`: regression if the target is numeric with many distinct values, else classification."""
    columns: dict[str, ColumnKind] = Field({})
    """What columns of a table are, by name, where this is not found right: numeric, categorical, date, text,
    identifier or ignored."""
    shape: Annotated[tuple[Count, ...], Field(strict=False, min_length=2, max_length=3)] | None = None
    """Of one example: [channels, height, width] makes an image of its columns, [length, channels] a sequence. Images of
    a folder are resized to it."""
    stream: bool = False
    """Whether examples are read from the disk batch by batch, for .npy and Parquet files larger than memory. They come
    in an order drawn piece by piece, and need disk space for a copy of each training and validation part."""
    header: bool = True
    """Whether the first line of a CSV file holds the columns' names; else they are called column 1, column 2, ..."""
    separator: Mark | None = None
    """Between the cells of a CSV file (default: found)."""
    quote: Mark = '"'
    """Around cells of a CSV file that hold a separator."""
    encoding: str | None = None
    """Of a CSV file, e.g. cp1252 (default: UTF-8, or UTF-16 where the file begins so)."""
    decimal: Literal[".", ","] | None = None
    """Mark before the decimals of numbers that are written as text (default: found)."""
    thousands: Literal[",", ".", " ", "'"] | None = None
    """Mark between the thousands of numbers that are written as text (default: found)."""
    test: Annotated[float, Field(ge=0.0, lt=1.0)] | Annotated[str, Field(min_length=1)] = 0.2
    """Share of all examples that no trial sees; the winner is scored on it once. 0: no test part. Or a file of the same
    form as `dataset`, whose examples are the test part. Leave it out where the data come with a test part."""
    split: str | None = None
    """Column that says for each row whether it is of the part train, validation or test. Parts that it does not name
    are drawn from the train rows."""
    group: str | None = None
    """Column whose rows of one value, e.g. of one patient, are in one part. It is no feature. For arrays `groups`, an
    array beside X."""
    time: str | None = None
    """Column of numbers or dates by which parts follow each other: training before validation, validation before test.
    It is a feature, unless [data.columns] leaves it out. For arrays `time`, an array beside X."""
    validation: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2
    """Share of all examples that trials are validated on (ignored when folds are given)."""
    folds: Annotated[int, Field(ge=2, le=1_000_000_000)] | None = None
    """Stratified k-fold cross-validation of the part outside the test part, instead of one hold-out; with `time`,
    windows that grow."""
    repeats: Count = 1
    """Seeds per trial; a trial's value is the mean over repeats and folds."""
    reshuffle: bool = False
    """Whether each trial has a training and a validation part of its own, drawn anew by its number, so that no trial
    wins by luck with the one validation part (Nagler et al. 2024). The test part is the same for all."""
    scaling: Literal["standard", "robust", "log", "quantile", "none"] = "standard"
    """How numbers are scaled, with statistics of the training part alone: to mean 0 and variance 1, by median and
    quartiles, as standard after a logarithm, to the normal deviate of the rank, or not. Images and sequences by
    channel."""
    categories: Literal["one_hot", "codes"] = "one_hot"
    """How categories are given to the model: a column for each, or one code for each categorical column, for a model
    with embeddings."""
    vocabulary: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    """Most words of the training texts that get a token of their own; the most frequent ones do."""
    min_count: Count = 2
    """How often a word must occur in the training texts for that."""
    max_tokens: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Words of a text that the model gets; the rest is cut (default: 95% of the training texts are whole, at most
    512 words)."""
