"""Rows on the device once, for trials with splits of their own (`data.reshuffle`): a lane's batch is gathered from them
and then scaled and coded by what the lane's own training part has taught. The numbers are those of
`hpo.data.preprocessing.apply`, to the last bit.

Dimensions: R rows outside the test part, S steps, K lanes, B examples of a batch, F numbers, C categorical columns, T
tokens of a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from math import prod
from typing import Self

import numpy as np
import torch
from torch import Tensor

from hpo.data.columns.categories import category_codes
from hpo.data.preprocessing.fitted import Preprocessing
from hpo.data.preprocessing.scaling import logarithm
from hpo.data.reshuffled import Reshuffled
from hpo.errors import InputError
from hpo.signature import FIRST_WORD, UNKNOWN, InputName, Signature

AT_ONCE = 2**20
"""Numbers that are scaled at once, in double precision."""


class _OnDevice:
    """A record of tensors and of what is on no device."""

    def to(self, device: torch.device) -> Self:
        """The same on another device."""
        held = {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]  # its subclasses are dataclasses
        moved = {name: value.to(device) for name, value in held.items() if isinstance(value, Tensor)}
        return replace(self, **moved)  # type: ignore[type-var]  # likewise


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SharedRows(_OnDevice):
    """All rows outside the test part as the data have them, neither scaled nor coded."""

    signature: Signature
    dtype: torch.dtype
    """Of the inputs."""
    numbers: Tensor
    """[R, F] the logarithm where one is taken; NaN where missing."""
    has_gaps: bool
    """Whether numbers are missing."""
    indicated: Tensor
    """[I] the numeric feature of each column that says that a number is missing."""
    categories: Tensor
    """[R, C] places in a lane's table of codes."""
    words: Tensor
    """[R, T] places in a lane's table of tokens."""
    lengths: Tensor
    """[R] steps of each sequence; empty where all are of full length."""
    one_hot: int
    """Columns of categories; 0 where these are codes."""
    extremes: Tensor
    """[2, F] the smallest and the largest of the numbers."""

    @classmethod
    def of(cls, drawn: Reshuffled, preprocessing: Preprocessing, dtype: torch.dtype) -> SharedRows:
        """`preprocessing`: that of any split; all have the same columns."""
        learner, idx = drawn.learner, drawn.rest_idx
        dataset, p = learner.dataset, preprocessing
        numbers = dataset.numeric[idx].reshape(len(idx), -1)
        numbers = logarithm(numbers.astype(np.float64)) if p.logarithmic else numbers
        place = {name: number for number, name in enumerate(p.numeric_names)}
        columns = drawn.columns
        categories = np.zeros((len(idx), len(columns.categories)), np.int64)
        first = 0
        for column, names in enumerate(columns.categories):
            known = {name: number for number, name in enumerate(names, first + 1)}
            categories[:, column] = [known.get(cell, first) for cell in dataset.categorical_NK[idx, column].tolist()]
            first += 1 + len(names)
        words = np.zeros((len(idx), 0), np.int64)
        if learner.corpus is not None:
            words = learner.corpus.tokens(idx, learner.corpus.words, p.tokens)
        return cls(
            signature=p.signature,
            dtype=dtype,
            numbers=torch.from_numpy(numbers),
            has_gaps=bool(np.isnan(numbers).any()),
            indicated=torch.tensor([place[name] for name in columns.indicators], dtype=torch.long),
            categories=torch.from_numpy(categories),
            words=torch.from_numpy(words),
            lengths=torch.from_numpy(np.zeros(0, np.int64) if dataset.lengths_N is None else dataset.lengths_N[idx]),
            one_hot=0 if p.codes else sum(map(len, columns.categories)),
            extremes=torch.from_numpy(np.stack([np.fmin.reduce(numbers), np.fmax.reduce(numbers)])),
        )

    @property
    def device(self) -> torch.device:
        return self.numbers.device

    def refuse_infinite(self, form: Form, names: Sequence[str]) -> None:
        """Raises `InputError` where a number is too large in a lane's scale. `names`: of the features."""
        scaled_2F = ((self.extremes.double() - form.offsets_KF) / form.scales_KF).float()
        wild_F = scaled_2F.isinf().any(0).tolist()
        if any(wild_F):
            raise InputError(
                f'Column "{names[wild_F.index(True)]}" holds a number that is infinite or, beside those of the '
                "trial's training part, too large for float32. Correct it, or leave it empty if it is unknown."
            )

    def inputs(self, rows_SKB: Tensor, form: Form) -> Tensor:
        """[S, K, B, ...] the inputs of these rows; `form`: of K lanes."""
        shape = self.signature.shape
        found = torch.empty(*rows_SKB.shape, prod(shape), dtype=torch.float32, device=self.device)
        steps = max(1, AT_ONCE // max(1, found[0].numel()))
        for rows, out in zip(rows_SKB.split(steps), found.split(steps), strict=True):
            self._fill(rows, form, out)
        return found.to(self.dtype).view(*rows_SKB.shape, *shape)

    def _fill(self, rows_SKB: Tensor, form: Form, out: Tensor) -> None:
        flat, shape, names = rows_SKB.flatten(), rows_SKB.shape, self.signature.names

        def chosen(held: Tensor) -> Tensor:
            return held.index_select(0, flat).view(*shape, -1)

        def columns(name: InputName, count: int, first: int = 0) -> Tensor:
            begin = self.signature.start(name) + first
            return out[..., begin : begin + count]

        if "values" in names:
            values = chosen(self.numbers).double()
            numbers, indicators = values.shape[-1], len(self.indicated)
            if self.has_gaps:
                missing = values.isnan()
                values = torch.where(missing, form.fills_KF.unsqueeze(1), values)
            scaled = columns("values", numbers)
            scaled.copy_(values.sub_(form.offsets_KF.unsqueeze(1)).div_(form.scales_KF.unsqueeze(1)))
            if indicators:
                absent = missing[..., self.indicated] & form.indicated_KI.unsqueeze(1)
                columns("values", indicators, numbers).copy_(absent)
            if self.one_hot:
                hot = out.new_zeros(*shape, self.one_hot + 1)  # the last column is for what is not known
                hot.scatter_(-1, _looked_up(form.codes_KM, chosen(self.categories)), 1.0)
                columns("values", self.one_hot, numbers + indicators).copy_(hot[..., :-1])
        if "codes" in names:
            codes = _looked_up(form.codes_KM, chosen(self.categories))
            columns("codes", codes.shape[-1]).copy_(codes)
        if "tokens" in names:
            columns("tokens", self.words.shape[1]).copy_(_looked_up(form.tokens_KW, chosen(self.words)))
        if "mask" in names:
            steps = self.signature.of("mask").shape[0]
            real = torch.arange(steps, device=flat.device) < chosen(self.lengths)
            columns("mask", steps).copy_(real)
            scaled.view(*shape, steps, -1).masked_fill_(~real.unsqueeze(-1), 0.0)


def _looked_up(table_KM: Tensor, places_SKBC: Tensor) -> Tensor:
    """[S, K, B, C] of each lane's table, the entries at these places."""
    lanes, size = table_KM.shape
    first = torch.arange(0, lanes * size, size, device=table_KM.device).view(-1, 1, 1)
    return table_KM.take(places_SKBC + first)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Form(_OnDevice):
    """What the training parts of K lanes have taught."""

    fills_KF: Tensor
    """float64: what stands where a number is missing."""
    offsets_KF: Tensor
    scales_KF: Tensor
    indicated_KI: Tensor
    """Whether the lane's training part misses numbers of the feature."""
    codes_KM: Tensor
    """Code of each category of each column, or its column in all columns of categories."""
    tokens_KW: Tensor
    """Token of each word; the first two are for the end of a text and for unknown words."""

    @classmethod
    def of(cls, drawn: Reshuffled, preprocessing: Preprocessing) -> Form:
        """Of one lane."""
        p = preprocessing
        fills = np.array(p.fills)
        codes: list[np.ndarray] = []
        first, last = 0, sum(map(len, drawn.columns.categories))
        for all_names, names in zip(drawn.columns.categories, p.categories, strict=True):
            known = category_codes([None, *all_names], names)
            codes.append(known + 1 if p.codes else np.where(known < 0, last, known + first))
            first += len(all_names)
        corpus, tokens = drawn.learner.corpus, np.zeros(0, np.int64)
        if corpus is not None:
            token = {word: number for number, word in enumerate(p.words, FIRST_WORD)}
            tokens = np.array([0, UNKNOWN, *(token.get(word, UNKNOWN) for word in corpus.words)])
        return cls(
            fills_KF=torch.from_numpy(logarithm(fills) if p.logarithmic else fills).unsqueeze(0),
            offsets_KF=torch.tensor([p.offsets], dtype=torch.float64),
            scales_KF=torch.tensor([p.scales], dtype=torch.float64),
            indicated_KI=torch.tensor([[name is not None for name in p.indicators]], dtype=torch.bool),
            codes_KM=torch.from_numpy(np.concatenate(codes) if codes else np.zeros(0, np.int64)).unsqueeze(0),
            tokens_KW=torch.from_numpy(tokens).unsqueeze(0),
        )

    @classmethod
    def together(cls, forms: Sequence[Form]) -> Form:
        """Of all lanes of these, in order."""
        names = [one.name for one in fields(cls)]
        return cls(**{name: torch.cat([getattr(form, name) for form in forms]) for name in names})


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DrawnRows:
    """The rows of one trial, to train or to validate on, part after part."""

    shared: SharedRows
    forms: tuple[Form, ...]
    """Of each part."""
    rows: Tensor
    """Places in the shared rows: [N] of all parts one after the other to train on, [parts, V] to validate on."""

    @property
    def device(self) -> torch.device:
        return self.shared.device

    @property
    def dtype(self) -> torch.dtype:
        return self.shared.dtype

    def to(self, device: torch.device) -> DrawnRows:
        """The same on another device."""
        forms = tuple(form.to(device) for form in self.forms)
        return DrawnRows(shared=self.shared.to(device), forms=forms, rows=self.rows.to(device))

    def head(self, count: int) -> Tensor:
        """The first examples of the first part, [count, ...] to train on or [1, count, ...] to validate on."""
        rows = self.rows[:1, :count] if self.rows.dim() > 1 else self.rows[:count]
        return self.shared.inputs(rows.view(1, 1, -1), self.forms[0]).view(*rows.shape, *self.shared.signature.shape)

    def select(self, places_N: Tensor) -> Tensor:
        """[N, ...] examples of the first part to train on."""
        return self.shared.inputs(self.rows[places_N].view(1, 1, -1), self.forms[0])[0, 0]
