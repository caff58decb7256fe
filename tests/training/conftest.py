from pathlib import Path

import pytest
import tones


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.jsonl and dev.jsonl."""
    return tones.write_corpus(tmp_path_factory.mktemp("tones"))
