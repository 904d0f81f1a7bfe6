"""What may stand in a message, whatever it is made of."""

from __future__ import annotations

import pytest

from hpo.errors import HpoError, InputError
from hpo.printable import LONGEST, LONGEST_LINE, MOST_NAMED, few, listed, on_one_line, printable, shortened

NASTY = "a\x00\x07\x08\x0b\r\x1b[31m\x1b]8;;http://x\x1b\\\x7f\x85\x9b31m\u200b\u200f\u2028\u202e\u2066\ufeff\udce9\U000e0041z"
"""Controls (C0, C1, DEL), escape sequences, marks of direction, invisible characters, half a surrogate pair."""
SHOWN = (
    r"a\x00\x07\x08\x0b\r\x1b[31m\x1b]8;;http://x\x1b" + "\\"
    r"\x7f\x85\x9b31m\u200b\u200f\u2028\u202e\u2066\ufeff\udce9\U000e0041z"
)


def test_what_acts_is_escaped_and_all_else_stays() -> None:
    assert printable(NASTY) == SHOWN
    plain = "déjà\tvu,\n日本語 ع 👩\u200d🔬 [red]C:\\x1b[/red]"
    assert printable(plain) == plain


def test_what_an_encoding_lacks_is_escaped() -> None:
    assert printable("Zoë", "ascii") == r"Zo\xeb"
    assert printable("Zoë", "latin-1") == "Zoë"


def test_one_line_is_one_line() -> None:
    assert on_one_line("a\nhpo: all is well\tb") == r"a\nhpo: all is well\tb"
    assert len(on_one_line("x" * 1_000_000)) <= LONGEST_LINE


@pytest.mark.parametrize("length", [LONGEST, LONGEST + 1, 100_000, 10_000_000])
def test_the_middle_of_a_long_text_is_counted(length: int) -> None:
    text = "".join(chr(ord("a") + place % 26) for place in range(length))
    short = shortened(text)
    assert len(short) <= LONGEST
    if length == LONGEST:
        assert short == text
        return
    head, _, tail = short.partition(" [... ")
    count, _, tail = tail.partition(" characters ...] ")
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) + int(count.replace(",", "")) + len(tail) == length


def test_a_long_list_is_counted() -> None:
    names = [f"column_{number}" for number in range(10_008)]
    assert few(names[:MOST_NAMED]) == names[:MOST_NAMED]
    assert few(names)[-1] == "... and 9,988 more"
    assert listed(names).endswith(f"column_{MOST_NAMED - 1}, ... and 9,988 more")


def test_errors_are_printable_wherever_they_end_up() -> None:
    assert str(InputError(NASTY)) == SHOWN
    assert len(str(HpoError("x" * 1_000_000))) <= LONGEST
