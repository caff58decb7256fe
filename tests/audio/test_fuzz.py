"""A short run of the fuzzer; the long one is python -m benchmarks.fuzz."""

import pytest

from benchmarks import fuzz, fuzz_audio


@pytest.mark.parametrize("name", fuzz_audio.FORMATS)
def test_mutated_files_are_read_or_refused(name: str):
    if name in ("m4a", "webm", "aac", "mkv"):
        pytest.importorskip("av", reason="PyAV is the extra asrattn[video]")
    kind = fuzz.load_kind("audio")
    for number in range(28):
        outcome, detail, seconds = fuzz.run_one(kind, name, number)
        assert outcome in ("read", "refused"), f"{name} {number}: {detail}"
        assert seconds < 20


@pytest.mark.slow
def test_a_process_that_ends_is_counted(monkeypatch: pytest.MonkeyPatch):
    tally = fuzz.fuzz("audio", "wav", range(3))
    assert tally.outcomes.total() == 3
