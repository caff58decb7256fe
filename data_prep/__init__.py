"""Published corpora -> manifests. One file a corpus, each with `prepare(source, dest, ...) -> {"train": Path, ...}`."""
