"""Mozilla Common Voice: train.tsv, dev.tsv, test.tsv next to a folder clips/."""

from pathlib import Path

from asrattn.errors import DataError
from data_prep import build
from data_prep.build import DEFAULT_OPTIONS, PrepOptions
from data_prep.entries import SPLITS, CorpusEntry, read_table, require_columns, require_folder


def prepare(source: Path, dest: Path, options: PrepOptions = DEFAULT_OPTIONS) -> dict[str, Path]:
    """Manifests of the published splits; `source` is the folder of one language (cv-corpus-.../en)."""
    dest = build.open_dest(dest)
    source = require_folder(source)
    clips = source / "clips"
    if not clips.is_dir():
        raise DataError(f"{source}: has no folder clips/; name the folder of one language, where clips/ is")
    listed = {name: _entries(source / f"{name}.tsv", clips) for name in SPLITS}
    return build.write_manifests(dest, build.build_splits(dest, listed, options))


def _entries(path: Path, clips: Path) -> list[CorpusEntry]:
    rows = read_table(path)
    require_columns(path, rows, "path", "sentence")
    entries: list[CorpusEntry] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, 2):
        clip = row["path"]
        id_ = Path(clip).stem
        if clip in seen:
            fault = f"{path.name}:{number} lists a clip that stands on line {seen[clip]} already"
            id_ = f"{id_}#{number}"
        else:
            fault = ""
            seen[clip] = number
        entries.append(
            CorpusEntry(id_, clips / clip, row["sentence"], row.get("client_id", ""), drop_reason=fault)
        )
    return entries
