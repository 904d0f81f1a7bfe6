"""Damage to bytes and to trees of plain values, whatever they mean."""

from __future__ import annotations

import math
from random import Random
from typing import Any

ODD_NUMBERS: tuple[int | float, ...] = (
    0,
    -1,
    1,
    2,
    3,
    7,
    -7,
    2**31,
    2**31 - 1,
    2**32,
    2**53,
    2**63,
    -(2**63),
    10**9,
    10**12,
    10**30,
    10**400,
    0.0,
    -0.0,
    0.5,
    1.5,
    1e-300,
    5e-324,
    1e-9,
    1e9,
    1e16,
    1e300,
    -1e300,
    math.inf,
    -math.inf,
    math.nan,
)
ODD_TEXTS = (
    "",
    " ",
    "none",
    "true",
    "0",
    "-1",
    "1e999",
    "nan",
    "inf",
    "\0",
    "\x1b[31m",
    "\u202e",
    "\ud7ff",
    "\ud800",
    "\U0001f600",
    "é" * 50,
    "a" * 300,
    "b" * 5000,
    "../..",
    "/",
    "~",
    "~nobody/x",
    "a/b",
    "a\nb",
    "{}",
    "[]",
    "%s%n",
    "'",
    '"',
    "\\",
    "__class__",
    "digits",
)


def damaged(data: bytes, random: Random) -> bytes:
    """The bytes with a few of them flipped, cut out, doubled, moved or put in."""
    found = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 5))):
        if not found:
            return bytes(found)
        start = random.randrange(len(found))
        end = min(len(found), start + random.choice((1, 1, 4, 16, 100, 1000)))
        match random.randrange(7):
            case 0:
                found[start] ^= 1 << random.randrange(8)
            case 1:
                found[start] = random.randrange(256)
            case 2:
                del found[start:end]
            case 3:
                found[start:start] = found[start:end]
            case 4:
                found[start:start] = random.randbytes(random.choice((1, 2, 8, 40)))
            case 5:
                del found[random.choice((start, start, 0)) :]
            case 6:
                found[start:end] = random.choice((b"\0", b"\xff", b"\n", b'"')) * (end - start)
    return bytes(found)


def odd_value(random: Random, like: Any = None) -> Any:
    """A value of another type, or one of the same at the end of what it can be."""
    match random.randrange(9):
        case 0 | 1:
            return random.choice(ODD_NUMBERS)
        case 2 | 3:
            return random.choice(ODD_TEXTS)
        case 4:
            return random.choice((True, False))
        case 5:
            return random.choice(([], {}, [[]], [{}], [None], {"": None}, [1, "a"], [1.5] * 5, {"a": {"b": 1}}))
        case 6:
            return nested(random.choice((3, 30, 200)), random)
        case 7:
            return None
        case _:
            if isinstance(like, bool) or not isinstance(like, int | float):
                return [like, like]
            return random.choice((-like, like * 10, like * 1e9, like / 3, like + 1, str(like), [like]))


def nested(depth: int, random: Random) -> Any:
    """Lists in lists, or tables in tables."""
    value: Any = 1
    as_table = random.random() < 0.5
    for _ in range(depth):
        value = {"a": value} if as_table else [value]
    return value


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every container in the tree with each of its keys, outermost first; one met twice is listed once."""
    found: list[tuple[Any, Any]] = []
    met: set[int] = set()
    waiting = [tree]
    while waiting:
        inner = waiting.pop()
        if id(inner) in met or not isinstance(inner, dict | list):
            continue
        met.add(id(inner))
        keys = list(inner) if isinstance(inner, dict) else range(len(inner))
        found += [(inner, key) for key in keys]
        waiting += [inner[key] for key in reversed(keys)]
    return found


def change_tree(tree: Any, random: Random) -> None:
    """Change some values of the tree in place: others, none, doubled, renamed, moved."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        known = places(tree)
        if not known:
            return
        owner, key = random.choice(known)
        match random.randrange(8):
            case 0:
                del owner[key]
            case 1 | 2 | 3:
                owner[key] = odd_value(random, owner[key])
            case 4 if isinstance(owner, dict):
                owner[random.choice(ODD_TEXTS)] = owner[key]
            case 4:
                owner.append(owner[key])
            case 5:
                other, place = random.choice(known)
                if not _holds(owner[key], other):
                    other[place] = owner[key]
            case 6 if isinstance(owner, dict):
                owner[random.choice(ODD_TEXTS)] = odd_value(random)
            case 6:
                owner.insert(0, odd_value(random))
            case _ if isinstance(owner[key], list) and owner[key]:
                owner[key] = owner[key] * random.choice((2, 10, 1000))
            case _:
                owner[key] = odd_value(random, owner[key])


def _holds(tree: Any, wanted: Any) -> bool:
    return tree is wanted or any(owner[key] is wanted for owner, key in places(tree))
