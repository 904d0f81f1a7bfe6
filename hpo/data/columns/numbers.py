"""Texts that are numbers: decimal commas, thousands marks, per cent and currency signs. No tables here.

A column is read in one form. Where two forms fit and give different numbers (`1,234`), the file has to say which.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

SIGNS = "%‰€$£¥₹₽₩₺₿¢"
"""Signs that may stand before or behind a number."""
TYPOGRAPHY = dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f"), " ") | {ord("\u2212"): "-"}
"""Blanks and minus signs of typography, in the form of plain text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberForm:
    """How numbers are written."""

    decimal: str = "."
    thousands: str = ""

    @property
    def pattern(self) -> re.Pattern[str]:
        """What a number in this form looks like."""
        mark = re.escape(self.thousands)
        grouped = rf"[1-9]\d{{0,2}}(?:{mark}\d{{3}})+|" if mark else ""
        point = re.escape(self.decimal)
        number = rf"(?:(?:{grouped}\d+)(?:{point}\d*)?|{point}\d+)(?:e[+-]?\d+)?"
        return re.compile(rf"[+-]?(?:{number}|inf(?:inity)?)", re.IGNORECASE)

    def value(self, text: str) -> float:
        """The number that a text of this form says."""
        bare = text.replace(self.thousands, "") if self.thousands else text
        return float(bare.replace(self.decimal, "."))

    def __str__(self) -> str:
        """`a decimal comma and dots between thousands`."""
        names = {".": "dot", ",": "comma", " ": "blank", "'": "apostrophe"}
        said = f"a decimal {names[self.decimal]}"
        return f"{said} and {names[self.thousands]}s between thousands" if self.thousands else said


PLAIN = NumberForm()
FORMS = (
    PLAIN,
    NumberForm(decimal=","),
    *(NumberForm(thousands=mark) for mark in ", '"),
    *(NumberForm(decimal=",", thousands=mark) for mark in ". '"),
)
"""Tried in this order; of two that fit as many texts, the first."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Parsed:
    """Texts read as numbers."""

    values_U: NDArray[np.float64]
    """NaN where a text is no number."""
    form: NumberForm
    sign: str
    """The sign that goes with every number, e.g. `%`; empty: none."""
    ambiguous: str | None
    """A text that may be two numbers, where nothing else decides between them."""


def parse(texts: Sequence[str], decimal: str | None = None, thousands: str | None = None) -> Parsed:
    """The numbers that the texts say, in the one form that fits most of them. `decimal`, `thousands`: marks that are
    known."""
    bare, signs = zip(*map(_without_sign, texts), strict=True) if texts else ((), ())
    forms = [
        form
        for form in FORMS
        if decimal in (None, form.decimal) and thousands != form.decimal
        if thousands is None or form.thousands in ("", thousands)
    ]
    if decimal is not None and thousands is not None:
        forms = [NumberForm(decimal=decimal, thousands=thousands)]
    fits = {form: [form.pattern.fullmatch(text) is not None for text in bare] for form in forms}
    form = max(fits, key=lambda form: sum(fits[form]))
    alike = [other for other in fits if fits[other] == fits[form]]
    numbers = [number for number, fit in enumerate(fits[form]) if fit]
    sign = max(set(signs), key=[signs[number] for number in numbers].count, default="")
    values_U = np.full(len(texts), np.nan)
    for number in numbers:
        if signs[number] == sign or _is_zero(bare[number]):
            values_U[number] = form.value(bare[number])
    ambiguous = (
        bare[number]
        for one, other in pairwise(alike)
        for number in numbers
        if one.value(bare[number]) != other.value(bare[number])
    )
    return Parsed(values_U=values_U, form=form, sign=sign, ambiguous=next(ambiguous, None))


def _without_sign(text: str) -> tuple[str, str]:
    text = text.translate(TYPOGRAPHY).strip()
    negative = text[:1] in "+-" and text[1:2] in SIGNS and len(text) > 2
    start, rest = (text[0], text[1:]) if negative else ("", text)
    if rest[:1] and rest[0] in SIGNS:
        return start + rest[1:].strip(), rest[0]
    if rest[-1:] and rest[-1] in SIGNS:
        return start + rest[:-1].strip(), rest[-1]
    return text, ""


def _is_zero(text: str) -> bool:
    return not text.strip("+-0.,")
