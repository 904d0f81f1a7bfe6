"""Rich's console, made safe for texts from other sources, and tables that do not break words on narrow terminals.

`hpo.cli.terminal.output.console` makes it; it is a module of its own because rich takes long to load.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from hpo.cli.terminal.output import for_terminal
from hpo.printable import few, on_one_line, shortened

PIPE_WIDTH = 110
"""Least width of output into a file or a pipe, in columns."""
WIDEST = 100_000
"""Width at which tables are measured, in columns."""
GAP = 2
"""Blanks between two columns of a table."""
LISTED = 10
"""Entries of a list that are shown before the rest is only counted; --json has them all."""
WIDEST_CELL = 32
"""Width in columns from which texts in a table of columns side by side are broken."""
NARROWEST = 8
"""Least width of a value in a table, in columns."""


class Terminal(Console):
    """A console that ignores markup in texts and escapes characters that would act on a terminal."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)
        if not self.is_terminal and "width" not in options:
            self.width = max(self.width, PIPE_WIDTH)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(for_terminal(text, self.encoding), **options)

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        """The last step before the stream. Text is escaped here, before styles become escape sequences."""
        return super()._render_buffer(
            segment if segment.control else segment._replace(text=for_terminal(segment.text, self.encoding))
            for segment in buffer
        )

    def say(self, text: str) -> None:
        """Prints sentences: wrapped between words on a terminal, on one line elsewhere."""
        self.print(shortened(text), soft_wrap=not self.is_terminal)

    def say_command(self, text: str) -> None:
        """Prints a command to be copied: without line breaks, which only the terminal adds."""
        self.print(text, soft_wrap=True)

    def list_of(self, title: str, lines: Sequence[str]) -> None:
        """Prints a heading and its entries; nothing if there are no entries."""
        if not lines:
            return
        self.print()
        self.print(title)
        whole = [" / ".join(part.strip() for part in line.split("\n") if part.strip()) for line in lines]
        for line in few(whole, LISTED):
            self.entry(line)

    def entry(self, line: str) -> None:
        """Prints an indented line below a heading."""
        if self.is_terminal:
            self.print(Padding(line, (0, 0, 0, 2), expand=False))
        else:
            self.print(f"  {line}", soft_wrap=True)

    def fits(self, table: Table) -> bool:
        """Whether the table fits without breaking a word. Output into a file or a pipe becomes wide enough instead."""
        needed = self.measure(table, options=self.options.update(width=WIDEST)).minimum
        if not self.is_terminal:
            self.width = max(self.width, needed)
        return needed <= self.width

    def side_by_side(self, title: str, heads: Sequence[str], rows: Mapping[str, Sequence[str]]) -> None:
        """Prints a table with a column for each head and a row for each label. Columns that do not fit beside the
        others go into further tables below. On a terminal, long texts are broken between words."""
        names, columns = self._beside(title, heads, rows)
        begin = 0
        while begin < len(columns):
            end = begin + 1
            while end < len(columns) and self.fits(self._table(names, columns[begin : end + 1])):
                end += 1
            if begin:
                self.print()
            self.fits(table := self._table(names, columns[begin:end]))
            self.print(table)
            begin = end

    def fits_beside(self, title: str, heads: Sequence[str], rows: Mapping[str, Sequence[str]]) -> bool:
        """Whether one table holds all columns."""
        return self.fits(self._table(*self._beside(title, heads, rows)))

    def _beside(
        self, title: str, heads: Sequence[str], rows: Mapping[str, Sequence[str]]
    ) -> tuple[list[str], list[list[str]]]:
        """The names of the rows and the columns of a table, broken into lines where it is a terminal's."""
        columns = [[head, *(row[place] for row in rows.values())] for place, head in enumerate(heads)]
        columns = [[on_one_line(text) for text in column] for column in columns]
        names = [on_one_line(label) for label in (title, *rows)]
        if self.is_terminal:
            names = [self._broken(name, self.width // 2) for name in names]
            room = self.width - GAP - max(map(self._wide, names))
            columns = [[self._broken(text, min(room, WIDEST_CELL)) for text in column] for column in columns]
        return names, columns

    def _table(self, names: Sequence[str], columns: Sequence[Sequence[str]]) -> Table:
        table = plain_table()
        table.add_column(names[0], no_wrap=True)
        for column in columns:
            table.add_column(column[0], justify="right", no_wrap=True, min_width=max(map(self._wide, column)))
        for place, name in enumerate(names[1:], start=1):
            table.add_row(name, *(column[place] for column in columns))
        return table

    def _wide(self, text: str) -> int:
        return max(cell_len(for_terminal(line, self.encoding)) for line in text.split("\n"))

    def _broken(self, text: str, room: int) -> str:
        """The text in lines of at most `room` columns, broken after blanks, dots, underscores, slashes and hyphens."""
        lines = [""]
        for part in re.split(r"(?<=[ ._/-])", text):
            if lines[-1] and self._wide(lines[-1] + part) > max(room, NARROWEST):
                lines.append("")
            lines[-1] += part
        return "\n".join(lines)


def plain_table(header_style: str = "bold") -> Table:
    """A table without lines."""
    return Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style=header_style)
