"""Files that are written whole or not at all: a reader never meets half of one."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """Where to write what takes the place of `path` at the end of the block; gone where the block fails. The folder is
    made. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    try:
        yield draft
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def write_text(path: Path, text: str) -> None:
    """UTF-8. Raises OSError."""
    with drafted(path) as draft:
        draft.write_text(text, encoding="utf-8")
