"""The table of decisions in ``docs/decisions/index.md``.

After adding a decision, write it again, from the folder of the tests: ``python -m docs.decisions``.
"""

from __future__ import annotations

import re

from architecture import packages

FOLDER = packages.TOP / "docs" / "decisions"
INDEX = FOLDER / "index.md"
HEADER = ["| number | decision | status | date |", "| --- | --- | --- | --- |"]

_TITLE = re.compile(r"# (\d+)\. (.+)")
_STATUS = re.compile(r"Status: ([^.]+), (\d{4}-\d{2}-\d{2})\.")


def table() -> list[str]:
    """Return the lines of the table: number, title, status and date of each decision."""
    lines = list(HEADER)
    for path in sorted(FOLDER.glob("0*.md")):
        title, _, status = path.read_text(encoding="utf-8").splitlines()[:3]
        number, name = _TITLE.fullmatch(title).groups()
        assert path.name.startswith(f"{int(number):04}-"), path.name
        found = _STATUS.match(status)
        assert found, f"the third line of {path.name} has to be like 'Status: accepted, 2026-11-26.'"
        kind, date = found.groups()
        lines.append(f"| {number} | [{name}]({path.name}) | {kind} | {date} |")
    return lines


def index_table() -> list[str]:
    """Return the lines of the table in the index."""
    return [line for line in INDEX.read_text(encoding="utf-8").splitlines() if line.startswith("|")]


def main() -> None:
    before = INDEX.read_text(encoding="utf-8").partition("\n|")[0].rstrip()
    INDEX.write_text("\n".join([before, "", *table()]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
