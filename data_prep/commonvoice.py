"""Mozilla Common Voice: train.tsv, dev.tsv, test.tsv beside a folder clips/."""

from pathlib import Path

from asrattn.errors import DataError
from data_prep import build
from data_prep.build import AS_PUBLISHED, Options
from data_prep.entries import SPLITS, Entry, columns, folder, table


def prepare(source: Path, dest: Path, options: Options = AS_PUBLISHED) -> dict[str, Path]:
    """Manifests of the published splits; `source` is the folder of one language (cv-corpus-.../en)."""
    dest = build.open_dest(dest)
    source = folder(source)
    clips = source / "clips"
    if not clips.is_dir():
        raise DataError(f"{source}: has no folder clips/; name the folder of one language, where clips/ is")
    listed = {name: _entries(source / f"{name}.tsv", clips) for name in SPLITS}
    return build.write(dest, build.check(dest, listed, options))


def _entries(path: Path, clips: Path) -> list[Entry]:
    rows = table(path)
    columns(path, rows, "path", "sentence")
    entries: list[Entry] = []
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
        entries.append(Entry(id_, clips / clip, row["sentence"], row.get("client_id", ""), fault=fault))
    return entries
