"""Files that are written whole or not at all: a reader never meets half of one."""

from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """UTF-8, under a temporary name and then renamed; the folder is made. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
