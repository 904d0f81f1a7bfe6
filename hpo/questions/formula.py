"""Effects as formulas of arms: `nesterov - momentum`, `log10(batch) - log10(none)`. A formula is read into Python's own
syntax tree, of which only what is listed here is allowed, so that nothing else of a question file is ever executed."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from functools import cache
from statistics import fmean

from hpo.printable import listed

OPERATORS: dict[type[ast.operator | ast.unaryop], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
}
FUNCTIONS: dict[str, Callable[..., float]] = {
    "abs": abs,
    "log10": math.log10,
    "max": max,
    "mean": lambda *values: fmean(values),
    "min": min,
}
"""Functions that a formula may call."""
LONGEST = 1000
"""Characters of a formula."""


class FormulaError(ValueError):
    """What is wrong with a formula, as the end of a sentence."""


def names_in(formula: str) -> list[str]:
    """The arms that a formula names, in their order. Raises FormulaError for what is no formula."""
    return list(dict.fromkeys(_names(_tree(formula))))


def value_of(formula: str, values: Mapping[str, float]) -> float | None:
    """The effect for one value of each arm; None where it has no finite value, e.g. log10(0) or 1 / 0."""
    try:
        found = _value(_tree(formula), values)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return found if math.isfinite(found) else None


@cache
def _tree(formula: str) -> ast.expr:
    if len(formula) > LONGEST:
        raise FormulaError(f"is longer than {LONGEST} characters")
    try:
        return ast.parse(formula.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise FormulaError("is no formula") from None


def _names(node: ast.expr) -> list[str]:
    match node:
        case ast.Name(id=name):
            return [name]
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return []
        case ast.UnaryOp(op=op, operand=inner) if type(op) in OPERATORS:
            return _names(inner)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return [*_names(left), *_names(right)]
        case ast.Call(func=ast.Name(id=name), args=[_, *_] as inside, keywords=[]) if name in FUNCTIONS:
            return [found for part in inside for found in _names(part)]
    raise FormulaError(f"holds more than names of arms, numbers, + - * / ( ) and {listed(FUNCTIONS)}")


def _value(node: ast.expr, values: Mapping[str, float]) -> float:
    match node:
        case ast.Name(id=name):
            return values[name]
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.UnaryOp(op=op, operand=inner):
            return OPERATORS[type(op)](_value(inner, values))
        case ast.BinOp(left=left, op=op, right=right):
            return OPERATORS[type(op)](_value(left, values), _value(right, values))
        case ast.Call(func=ast.Name(id=name), args=inside):
            return float(FUNCTIONS[name](*(_value(part, values) for part in inside)))
    raise AssertionError(ast.dump(node))
