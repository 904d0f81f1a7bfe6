"""Texts made safe for messages: without characters that control a terminal or are invisible, and a few kilobytes long
at most.

The texts come from files, databases and exceptions of other code. Data for programs (JSON, CSV) is not changed by these
functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST = 4000
"""Characters of a message."""
LONGEST_TRACEBACK = 12_000
"""Characters of a traceback."""
LONGEST_LINE = 600
"""Characters of one entry in a list, and of a value that a message repeats."""
MOST_NAMED = 20
"""Entries of a list that a message names; the others are counted."""

ACTING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls but for tab and line feed, among them escape and carriage return
    r"\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff"  # not seen
    r"\u2028\u2029\ud800-\udfff]"  # other ends of lines, and halves of surrogate pairs
)
"""Characters that act on the display instead of being seen: control characters, direction marks, characters without
width. The joiners U+200C and U+200D are allowed, as they are parts of words in some scripts, and of emoji."""


def printable(text: str, encoding: str = "utf-8") -> str:
    """The text with an escape (`\\x1b`, `\\u202e`) in place of each character of `ACTING`, and of each that the
    encoding lacks; line feeds and tabs stay."""
    shown = ACTING.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def on_one_line(text: str) -> str:
    """A printable text without line feeds and tabs, at most `LONGEST_LINE` long."""
    return shortened(printable(text).replace("\n", "\\n").replace("\t", "\\t"), LONGEST_LINE)


def shortened(text: str, longest: int = LONGEST) -> str:
    """The text, with its middle left out where it is too long."""
    if len(text) <= longest:
        return text
    kept = longest - len(f" [... {len(text):,} characters ...] ")
    head, tail = kept - kept // 3, kept // 3
    return f"{text[:head]} [... {len(text) - kept:,} characters ...] {text[-tail:]}"


def storable(text: str, longest: int = LONGEST) -> str:
    """The text, shortened, with question marks in place of halves of surrogate pairs, which no file can hold."""
    return shortened(text, longest).encode("utf-8", "replace").decode("utf-8")


def few(entries: Iterable[object], most: int = MOST_NAMED) -> list[str]:
    """The entries, each on one line; the last says how many more there are."""
    found = list(entries)
    rest = [f"... and {len(found) - most:,} more"] if len(found) > most else []
    return [*(on_one_line(str(entry)) for entry in found[:most]), *rest]


def listed(entries: Iterable[object], most: int = MOST_NAMED, between: str = ", ") -> str:
    """`a, b, c, ... and 97 more`"""
    return between.join(few(entries, most))
