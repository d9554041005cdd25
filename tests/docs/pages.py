"""The code blocks of a Markdown page, and what becomes of each.

- A block with a title, such as ```` ```csv title="reviews.csv" ````, is a file that the page makes.
- ``python`` blocks run in one process; what ``print(...)  # this`` prints is compared with the comment.
- ``bash`` blocks run in the folder that the last one ended in, and must end well.
- A comment before a block can exempt it, ``<!-- not run: why -->``, or put a command in its place that a test can
  run, ``<!-- run instead: command -->``, or a cheaper one for all runs but the nightly one, which does what the
  page says, ``<!-- run by default: command -->``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

TOP = Path(__file__).parents[2]
READMES = [TOP / "README.md", *sorted(TOP.glob("packages/*/README.md"))]
PAGES = [*READMES, *sorted((TOP / "docs").rglob("*.md"))]

RUN = {"python", "bash"}
SHOWN = {"text", "csv", "json", "toml", "yaml"}

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\s*$")
_NOT_RUN = re.compile(r"<!-- not run: (?P<reason>.+) -->")
_INSTEAD = re.compile(r"<!-- run instead: (?P<command>.+) -->")
_BY_DEFAULT = re.compile(r"<!-- run by default: (?P<command>.+) -->")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    language: str
    title: str | None
    content: str
    line: int
    remark: str

    @property
    def is_exempt(self) -> bool:
        return _NOT_RUN.search(self.remark) is not None

    @property
    def command(self) -> str:
        instead = _INSTEAD.search(self.remark)
        return instead["command"] if instead else self.content

    @property
    def cheaper_command(self) -> str:
        by_default = _BY_DEFAULT.search(self.remark)
        return by_default["command"] if by_default else self.command


def title(page: Path) -> str:
    """Return the path of a page below the top folder."""
    return page.relative_to(TOP).as_posix()


def blocks(page: Path) -> list[Block]:
    """Return the blocks of a page in order; a fence that this cannot read is an error."""
    found: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        if "```" in lines[number] and lines[number].lstrip().startswith("```"):
            opening = _FENCE.match(lines[number])
            if opening is None or opening["indent"] or opening["language"] not in RUN | SHOWN:
                raise ValueError(f"{page.name}, line {number + 1}: no test understands {lines[number]!r}")
            end = lines.index("```", number + 1)
            before = (line for line in reversed(lines[:number]) if line.strip())
            remark = "\n".join(takewhile(lambda line: line.startswith("<!-- "), before))
            content = "\n".join(lines[number + 1 : end]) + "\n"
            found.append(Block(opening["language"], opening["title"], content, number + 1, remark))
            number = end
        number += 1
    return found
