"""References to score against: a manifest, or texts alone, {"id": …, "text": …} one utterance a line."""

import json
from pathlib import Path

from asrattn.data import manifest
from asrattn.data.manifest import Utterance
from asrattn.errors import ManifestError

_TEXT_FIELDS = ("id", "text", "speaker", "tags")
_NO_AUDIO = {"audio": "-", "seconds": 0.0}


def read(path: Path) -> list[Utterance]:
    """The utterances of a manifest. Where the first line names no audio, id and text suffice on all of them; `speaker`
    and `tags` are read too, other fields are ignored, and seconds are 0.

    Raises ManifestError as `manifest.read`.
    """
    lines = manifest.read_json_lines(path, "manifest", "utterance", "make it with python -m data_prep")
    first = next(lines, None)
    if first is None or "audio" in first[1]:
        return manifest.read(path)
    utterances: dict[str, Utterance] = {}
    for number, plain in (first, *lines):
        known = {name: plain[name] for name in _TEXT_FIELDS if name in plain}
        utterance = manifest.parse_line(json.dumps(_NO_AUDIO | known), f"{path}:{number}", path.parent)
        if utterance.id in utterances:
            raise ManifestError(f"{path}:{number}: id {utterance.id!r} occurs twice; ids must differ")
        utterances[utterance.id] = utterance
    return list(utterances.values())
