"""What a preprocessing has learnt. It can be written as JSON, also by earlier versions, which had fewer fields."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from pydantic import TypeAdapter

from hpo.data.dataset import CellForm, DataKind, Task
from hpo.data.preprocessing.scaling import Knots, Scaling
from hpo.signature import FIRST_WORD, Input, Signature


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocessing:
    """The fitted preprocessing: turns features into a network's input, and its output into a prediction. It can be
    written as JSON."""

    kind: DataKind
    task: Task
    input_shape: tuple[int, ...]
    """Shape of a row, see `signature`: (numbers,), (channels, height, width) or (length, channels)."""
    numeric_names: tuple[str, ...]
    """Numeric columns, or pixels in row-major order, that a table must have."""
    fills: tuple[float, ...]
    """Per numeric feature: stands where a value is missing."""
    offsets: tuple[float, ...]
    """Per numeric feature: subtracted; the training mean, or 0 without scaling."""
    scales: tuple[float, ...]
    """Per numeric feature: divided by; the training standard deviation, or 1 if constant or not scaled."""
    indicators: tuple[str | None, ...]
    """Numeric features with a column that is 1 where the value is missing. None: a column of zeros, there
    because another fold has it."""
    categorical_names: tuple[str, ...]
    categories: tuple[tuple[str | None, ...], ...]
    """Per categorical feature, one column each. None: a column of zeros, there because another fold has it."""
    target_name: str
    class_names: tuple[str, ...]
    """By class index; empty for regression."""
    target_offset: float
    """Training mean of a regression's target; 0 for classification."""
    target_scale: float
    """Training standard deviation of a regression's target; 1 for classification.
    Prediction in original units: output * target_scale + target_offset."""
    forms: Mapping[str, CellForm] = field(default_factory=dict)
    """How cells are read, by column, where this is not the plain way."""
    logarithmic: bool = False
    """Whether the logarithm of numbers is taken before they are scaled."""
    knots: tuple[Knots, ...] = ()
    """Per numeric feature: numbers and the deviates that stand for them; empty: none."""
    codes: bool = False
    """Whether a category is a code, instead of a column of its own."""
    length: int = 0
    """Steps of the longest sequence, where a mask says which are real; 0: no mask."""
    text_names: tuple[str, ...] = ()
    """Columns whose texts become tokens."""
    words: tuple[str, ...] = ()
    """The vocabulary; the first word is token 2."""
    vocabulary: int = 0
    """How many tokens there are; more than words and two, where another fold has more words. 0: no texts."""
    tokens: int = 0
    """Tokens of a text; longer ones are cut."""

    @property
    def scaling(self) -> Scaling:
        """The part that concerns numeric features."""
        return Scaling(
            fills=self.fills,
            offsets=self.offsets,
            scales=self.scales,
            logarithmic=self.logarithmic,
            knots=self.knots,
        )

    @property
    def signature(self) -> Signature:
        """The inputs of a row."""
        found: list[Input] = []
        columns = self._value_columns()
        if self.kind in ("image", "sequence"):
            shape = (self.length, len(columns) // self.length) if self.length else self.input_shape
            found.append(Input(name="values", shape=shape))
        elif columns:
            features, numeric = self._features(), len(self.numeric_names)
            found.append(
                Input(name="values", shape=(len(columns),), columns=columns, features=features, numeric=numeric)
            )
        if self.codes and self.categories:
            sizes = tuple(len(names) + 1 for names in self.categories)
            features = tuple(range(len(self.numeric_names), len(self.numeric_names) + len(sizes)))
            names = self.categorical_names
            found.append(Input(name="codes", shape=(len(sizes),), sizes=sizes, columns=names, features=features))
        if self.vocabulary:
            found.append(Input(name="tokens", shape=(self.tokens,), sizes=(self.vocabulary,)))
        if self.length:
            found.append(Input(name="mask", shape=(self.length,)))
        return Signature(inputs=tuple(found))

    def _value_columns(self) -> tuple[str, ...]:
        missing = tuple(f"{name} is missing" for name in self.indicators)
        each = zip(self.categorical_names, self.categories, strict=True)
        one_hot = () if self.codes else tuple(f"{column} = {name}" for column, names in each for name in names)
        return (*self.numeric_names, *missing, *one_hot)

    def _features(self) -> tuple[int, ...]:
        """Number of the feature of each of the value columns: numeric features, then categorical ones."""
        place = {name: number for number, name in enumerate(self.numeric_names)}
        missing = [0 if name is None else place[name] for name in self.indicators]
        each = () if self.codes else enumerate(self.categories, start=len(place))
        return (*place.values(), *missing, *(number for number, names in each for _ in names))

    @property
    def text_columns(self) -> tuple[str, ...]:
        """Columns whose cells a reader must leave as they are written, so that `007` does not become 7, nor `1.234` a
        fraction where training had decimal commas."""
        commas = (name for name, form in self.forms.items() if form.decimal == ",")
        return (*self.categorical_names, *self.text_names, *commas, *((self.target_name,) if self.class_names else ()))

    def as_dict(self) -> dict[str, Any]:
        """The fields as a dict for JSON; `from_dict` is the inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: object) -> Preprocessing:
        """The record from the values of `as_dict`, also after a round trip through JSON. Raises ValueError if the
        values contradict each other, or have wrong types."""
        found = TypeAdapter(cls).validate_json(json.dumps(values), strict=True)
        for flaw, holds in found._rules():
            if not holds:
                raise ValueError(flaw)
        return found

    def _rules(self) -> Iterator[tuple[str, bool]]:
        """Rules that hold between the fields: a message for the case that the rule is broken, and whether it holds."""
        numbers = len(self.numeric_names)
        yield (
            "fills, offsets and scales need one number for each numeric_names",
            (len(self.fills) == len(self.offsets) == len(self.scales) == numbers),
        )
        yield (
            "categories needs one list for each categorical_names",
            len(self.categories) == len(self.categorical_names),
        )
        names = (*self.numeric_names, *self.categorical_names, *self.text_names)
        yield "numeric_names, categorical_names and text_names must differ", len(set(names)) == len(names)
        yield "indicators must be among numeric_names", {*self.indicators} <= {None, *self.numeric_names}
        yield "knots needs one entry for each numeric_names, or none", len(self.knots) in (0, numbers)
        yield "knots needs ascending numbers and a deviate for each", all(map(_ascending, self.knots))
        yield "length must divide the numeric_names of a sequence", self._steps_are_whole()
        yield "text_names, vocabulary and tokens come together", self._texts_are_whole()
        expected = self.signature.shape
        columns = math.prod(expected)
        yield (
            f"input_shape does not hold the {columns} columns",
            (min(self.input_shape, default=0) > 0 and math.prod(self.input_shape) == columns),
        )
        yield (
            "class_names must be empty for regression, and only there",
            ((self.task == "classification") == bool(self.class_names)),
        )
        numbers_used = (*self.fills, *self.offsets, *self.scales, self.target_offset, self.target_scale)
        yield "every number must be finite", all(map(math.isfinite, numbers_used))
        yield "scales and target_scale must not be 0", all((*self.scales, self.target_scale))

    def _steps_are_whole(self) -> bool:
        if not self.length:
            return True
        return self.kind == "sequence" and self.length > 0 and len(self.numeric_names) % self.length == 0

    def _texts_are_whole(self) -> bool:
        if not self.text_names:
            return self.vocabulary == self.tokens == len(self.words) == 0
        return self.tokens > 0 and self.vocabulary >= len(self.words) + FIRST_WORD


def _ascending(knots: Knots) -> bool:
    numbers, deviates = knots
    return len(numbers) == len(deviates) > 0 and all(low < high for low, high in pairwise(numbers))
