"""A first study file for a data set: settings that suit its kind, its size and its balance, each with a comment.

Only the text is made here; `hpo init` reads the data and writes the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import prod, sqrt
from typing import Any

from hpo.data.describe import TABLES, Description
from hpo.errors import DataError
from hpo.paths import argument
from hpo.printable import listed, on_one_line
from hpo.studyfile.study import fitting_concurrency
from hpo.studyfile.tree import toml

NAMED = 3
"""Columns that a comment names."""
SMALL = 500
"""Tables with fewer rows are validated by folds, because one part would decide by luck."""
UNBALANCED = 0.65
"""Where the largest class has a greater share, accuracy says little: always answering this class scores as much."""
SIZES: tuple[tuple[int, int, int, int], ...] = (
    (500, 16, 60, 60),
    (5_000, 32, 40, 60),
    (20_000, 128, 25, 60),
    (100_000, 256, 15, 40),
)
"""(rows, batch size, epochs, trials) of data sets with fewer rows than the first number."""
LARGE = (512, 10, 30)
"""The same for larger ones."""
WORK = 1.5e13
"""Floating-point operations of all epochs of all trials together, pruned ones included, that a first study may take:
some 30 minutes of one core. Larger data get fewer epochs and trials than `SIZES` says, ..."""
LEAST_EPOCHS, LEAST_TRIALS = 3, 12
"""... but these at least."""
TRAINED = 0.6
"""Share of the rows in the training part."""
CODES = 10
"""Categories that a column is taken to have."""
WIDTHS: tuple[tuple[int, list[list[int]]], ...] = (
    (500, [[], [16], [32]]),
    (5_000, [[32], [64], [64, 64]]),
    (20_000, [[64], [64, 64], [128, 128]]),
)
"""(rows, hidden layers to choose from) of tables with fewer rows than the number."""
WIDE = [[64, 64], [128, 128], [256, 128]]
"""The same for larger ones."""
UNITS = [32, 64]
"""Units of a recurrent layer, to choose from."""
WORD_VECTORS = [16, 32]
"""Numbers of the vector of a word, to choose from."""
CHANNELS: tuple[tuple[int, list[list[int]]], ...] = (
    (64, [[8, 16, 32], [8, 16, 32, 64]]),
    (16, [[16, 32], [16, 32, 64]]),
    (8, [[8, 16], [16, 32]]),
    (2, [[8], [16]]),
)
"""(pixels, channels to choose from) of images whose shorter side has at least that many."""
HIDDEN = [64]
"""Units between the convolutions and the output."""


def propose(
    name: str,
    found: Description,
    *,
    dataset: str,
    target: str | None,
    folds: int | None,
    test_given: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> str:
    """The text of a study file. `dataset`, `target`: as `[data]` is to have them; `folds`: None for a hold-out;
    `test_given`: the data come with a test part; `settings`: further keys of `[data]`.

    Raises `DataError` for images that are too small.
    """
    sections = (
        _study(name, found),
        _data(dataset, target, found, folds, test_given, settings or {}),
        _model(found),
        _NORM,
        _DROPOUT,
        _OPTIMIZER,
        _budget(found),
    )
    what = f"{found.rows:,} {'images' if found.kind == 'image' else 'rows'}, {found.task}"
    head = (
        f"# Study of {on_one_line(dataset)}: {what}.",
        f"# `hpo check {argument(f'{name}.toml')}` shows what was found in the data, "
        f"`hpo run {argument(f'{name}.toml')}` runs the study.",
        "# A range is { low = , high = }, a choice { choice = [...] }; a plain value is fixed and not searched.",
    )
    return "\n\n".join(("\n".join(head), *("\n".join(lines) for lines in sections))) + "\n"


def _study(name: str, found: Description) -> Iterator[str]:
    objective, why = _objective(found)
    yield "[study]"
    yield f"name = {toml(name)}"
    yield f"objective = {toml(objective)}  # {why}"
    yield "seed = 0  # another seed is another split and another search"


def _objective(found: Description) -> tuple[str, str]:
    if found.task == "regression":
        return "rmse", 'root mean squared error, in the unit of the target; or "mae" (outliers count less), "r2"'
    largest, share = max(found.classes.items(), key=lambda item: item[1])
    if share <= UNBALANCED:
        return (
            "accuracy",
            'no class is much larger than the others; or "macro_f1", "auroc", "loss"',
        )
    unbalanced = f"{100 * share:.0f}% of the rows are {on_one_line(largest)}, so always saying that would look good"
    if len(found.classes) == 2:
        return "auroc", f'{unbalanced}; or "balanced_accuracy"'
    return "balanced_accuracy", f'{unbalanced}; or "macro_f1"'


def _data(
    dataset: str,
    target: str | None,
    found: Description,
    folds: int | None,
    test_given: bool,
    settings: Mapping[str, Any],
) -> Iterator[str]:
    yield "[data]"
    yield f"dataset = {toml(dataset)}  # a name of the catalogue, or a path, relative to this file"
    if target is not None:
        yield f"target = {toml(target)}  # the column to predict"
        other = "regression" if found.task == "classification" else "classification"
        otherwise = f' Otherwise set  task = "{other}"' if all(map(_is_number, found.classes)) else ""
        yield f"# Read as {found.task}: {on_one_line(found.task_reason)}.{otherwise}"
    yield from (f"{key} = {toml(value)}" for key, value in settings.items())
    if "test" not in settings and test_given:
        yield "# The data come with a test part; only the winner is scored on it, once"
    elif "test" not in settings:
        yield "test = 0.2  # only the winner is scored on it, once"
    if folds is None:
        yield "validation = 0.2  # trials are compared on it; folds = 5 instead: less noise, five times as long"
    else:
        yield f"folds = {folds}  # few rows: a trial's value is its mean over folds; faster: validation = 0.2"
    if found.kind in TABLES and found.skewed and "scaling" not in settings:
        named = on_one_line(listed(found.skewed, NAMED))
        yield f'# A few values far from the others in {named}: try  scaling = "quantile",  or "log"'
    if found.kind in TABLES and "columns" not in settings:
        yield '# A column that was not read as meant:  columns = { NAME = "categorical" }, or numeric, date, ignored'


def _is_number(label: str) -> bool:
    try:
        float(label)
    except ValueError:
        return False
    return True


def _model(found: Description) -> Iterator[str]:
    yield "[model]"
    if found.kind == "image":
        yield 'family = "cnn"  # convolutions; "mlp" takes the pixels as columns'
        channels = toml({"choice": _channels(found.shape)})
        yield f"channels = {channels}  # a number for each block; a block halves the image"
        yield f"hidden = {toml(HIDDEN)}  # units between the last block and the output"
    elif found.kind == "sequence":
        yield 'family = "recurrent"  # reads step after step; "mlp" takes all steps side by side'
        yield 'cell = { choice = ["gru", "lstm"] }'
        yield f"width = {toml({'choice': UNITS})}  # units of each layer"
        yield 'pooling = { choice = ["last", "mean", "max"] }  # what becomes of the steps'
    else:
        widths = _widths(found)
        linear = "; [] is a linear model" if [] in widths else ""
        yield f'family = "mlp"  # a multilayer perceptron{_WORDS if found.kind == "text" else _OWN}'
        yield f"hidden = {toml({'choice': widths})}  # units of each hidden layer{linear}"
        yield 'activation = { choice = ["relu", "gelu"] }'
        if "text" in found.columns:
            yield f"word_vector = {toml({'choice': WORD_VECTORS})}  # numbers of a word; a text is their mean"


_OWN = '; "custom" takes a module of your own'
_WORDS = '; "recurrent" reads a text word after word, which takes longer'


def _widths(found: Description) -> list[list[int]]:
    rows = 0 if found.kind == "text" else found.rows  # the mean of a text's words is a small input
    return next((widths for most, widths in WIDTHS if rows < most), WIDE)


def _channels(shape: tuple[int, ...]) -> list[list[int]]:
    side = min(shape[-2:])
    if side < 2:
        raise DataError(f"The images have {shape[-2]}x{shape[-1]} pixels; a convolutional network needs 2x2 at least.")
    return next(choice for least, choice in CHANNELS if side >= least)


def _products(found: Description) -> float:
    """Products of a weight and a number in one example's pass through the model, mean over the proposed sizes."""
    outputs = max(1, len(found.classes))
    if found.kind == "sequence":
        length, channels = found.shape
        return sum(3.5 * units * (channels + units) * length for units in UNITS) / len(UNITS)  # 3 gates or 4
    if found.kind != "image":
        width = {"categorical": CODES, "text": max(WORD_VECTORS)}
        inputs = sum(len(names) * width.get(kind, 1) for kind, names in found.columns.items())
        sizes = [[inputs, *widths, outputs] for widths in _widths(found)]
        return sum(sum(map(prod, pairwise(widths))) for widths in sizes) / len(sizes)
    options = _channels(found.shape)
    return sum(_convolutions(found.shape, channels, outputs) for channels in options) / len(options)


def _convolutions(shape: tuple[int, ...], channels: list[int], outputs: int) -> int:
    before, height, width = shape
    products = 0
    for after in channels:
        products += 9 * before * after * height * width
        before, height, width = after, height // 2, width // 2
    return products + sum(map(prod, pairwise([before * height * width, *HIDDEN, outputs])))


def _sizes(found: Description) -> tuple[int, int, int]:
    """Batch size, epochs and trials that suit the number of rows and end in sensible time."""
    batch, epochs, trials = next((rest for rows, *rest in SIZES if found.rows < rows), LARGE)
    if found.kind == "image":
        trials = trials // 2
    work = 6 * _products(found) * TRAINED * found.rows * epochs * trials  # a step is three passes, a product two sums
    share = sqrt(min(1.0, WORK / work))
    return batch, min(epochs, max(LEAST_EPOCHS, int(epochs * share))), max(LEAST_TRIALS, int(trials * share))


_NORM = (
    "[norm]  # normalisation between the layers",
    'choice = [{ kind = "none" }, { kind = "batch" }, { kind = "layer" }]',
)
_DROPOUT = (
    "[dropout]",
    "p = { low = 0.0, high = 0.5 }  # share of units that is dropped in training, against overfitting",
)
_OPTIMIZER = (
    "[optimizer]",
    "learning_rate = { low = 1e-4, high = 1e-1, log = true }  # the report warns where the best is at an end: widen it",
    "choice = [",
    '  { name = "adamw", weight_decay = { low = 1e-6, high = 1e-1, log = true } },',
    '  { name = "sgd", momentum = 0.9, nesterov = true },',
    "]",
)


def _budget(found: Description) -> Iterator[str]:
    batch, epochs, trials = _sizes(found)
    yield "[training]"
    yield f"epochs = {epochs}  # passes over the training part; more where curves still rise at the end"
    yield f"batch_size = {batch}  # larger with more rows: an epoch takes less time"
    yield ""
    yield "[search]"
    yield f"trials = {trials}  # `hpo run --trials N` goes on with more"
    yield f"concurrency = {fitting_concurrency(trials)}  # trials in flight; with fewer, the sampler learns more"
    yield 'sampler = "tpe"  # learns from results; or "auto", "random", "gp", "cmaes", "qmc", "grid"'
    yield 'pruner = "promotion"  # trials pause, the best third goes on; or "none", "median", "hyperband"'
