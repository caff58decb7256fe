"""Published corpora -> manifests. One file per corpus, each with `prepare(source, dest, ...) -> {"train": Path, ...}`."""
