"""python -m data_prep CORPUS SOURCE DEST: a corpus as published -> train.jsonl, dev.jsonl, test.jsonl."""

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from asrattn.errors import AsrattnError
from data_prep import (
    aishell,
    an4,
    commonvoice,
    demo,
    folder,
    foreign_manifest,
    kaldi,
    lhotse_shar,
    librispeech,
    options,
    shards,
    speechocean762,
    summary,
)
from data_prep.build import JobShardDone, PrepOptions

Prepare = Callable[[argparse.Namespace, PrepOptions], dict[str, Path]]
Run = Callable[[argparse.Namespace], Iterable[str]]


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 a user error; argparse ends with 2 for wrong usage."""
    args = make_parser().parse_args(argv)
    logging.basicConfig(format="%(message)s")
    run: Run = args.run
    try:
        for line in run(args):
            print(line)
    except JobShardDone as done:
        print(done)
    except AsrattnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; run it again to finish", file=sys.stderr)
        return 130
    return 0


def _make_run(prepare: Prepare) -> Run:
    def run(args: argparse.Namespace) -> Iterable[str]:
        names = ("lower", "upper", "strip_punctuation", "language", "quick", "jobs", "seed", "job_shard")
        opts = PrepOptions(**{name: getattr(args, name) for name in names})
        return summary.format_summary(prepare(args, opts), args.dest)

    return run


def make_parser() -> argparse.ArgumentParser:
    """All corpora and their options."""
    parser = argparse.ArgumentParser(
        prog="python -m data_prep",
        description="Turn a corpus as published into manifests: DEST/train.jsonl, dev.jsonl, test.jsonl. "
        "Every audio file is opened; unusable ones are dropped, counted, and listed in DEST/dropped.tsv.",
    )
    corpora = parser.add_subparsers(metavar="CORPUS", required=True)
    options.add_shares(
        _add(
            corpora,
            "aishell",
            "AISHELL-1: Mandarin; texts without spaces",
            "the folder data_aishell/, with wav/ and transcript/ in it",
            lambda args, opts: aishell.prepare(args.source, args.dest, opts, args.dev_share, args.test_share),
        ),
        0.0,
    )
    _add_an4(corpora)
    _add_folder(corpora)
    _add_kaldi(corpora)
    _add_manifest(corpora)
    _add_commonvoice(corpora)
    _add_librispeech(corpora)
    _add_speechocean762(corpora)
    _add(
        corpora,
        "demo",
        "spoken words, made offline with eSpeak NG (pip install asrattn[demo])",
        None,
        lambda args, opts: demo.prepare(args.dest, opts),
    )
    _add_shards(corpora)
    _add_shar(corpora)
    return parser


def _add(
    corpora: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    description: str,
    source: str | None,
    prepare: Prepare,
) -> argparse.ArgumentParser:
    """A corpus with the options that all of them have."""
    parser: argparse.ArgumentParser = corpora.add_parser(name, help=description, description=description)
    parser.set_defaults(run=_make_run(prepare))
    if source:
        parser.add_argument("source", metavar="SOURCE", type=Path, help=source)
    parser.add_argument(
        "dest", metavar="DEST", type=Path, help="the folder for the manifests; made if need be"
    )
    parser.add_argument(
        "--lower", action="store_true", help="transcripts in lower case (default: as published)"
    )
    parser.add_argument("--upper", action="store_true", help="transcripts in upper case")
    parser.add_argument(
        "--strip-punctuation",
        action="store_true",
        help="punctuation out of the transcripts, except within a word: apostrophes (all as '), hyphens, the middle "
        "dot of Catalan, geresh and gershayim of Hebrew",
    )
    parser.add_argument(
        "--language",
        metavar="CODE",
        default="",
        help="language of the transcripts, such as tr, for --lower and --upper: case differs in Turkish, Azerbaijani "
        "and Greek",
    )
    parser.add_argument(
        "--quick", action="store_true", help="read only headers: faster, but truncated and NaN audio may pass"
    )
    options.add_work(
        parser, "job array: scan every N-th audio file only; the run without it then scans no other"
    )
    return parser


def _add_shards(corpora: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    description = (
        "a manifest -> shards: archives of flac in a shuffled order, for a corpus larger than memory"
    )
    parser = corpora.add_parser("shards", help=description, description=description)
    parser.set_defaults(
        run=lambda args: shards.format_shard_summary(
            shards.write_shards(
                args.source, args.dest, args.hours, args.rate, args.seed, args.jobs, args.job_shard
            ),
            args.dest,
        )
    )
    parser.add_argument("source", metavar="MANIFEST", type=Path, help="such as data/corpus/train.jsonl")
    parser.add_argument("dest", metavar="DEST", type=Path, help="a folder, such as data/corpus/train")
    parser.add_argument(
        "--hours", metavar="X", type=options.hours, default=0.5, help="in a shard (%(default)s)"
    )
    parser.add_argument(
        "--rate", metavar="HZ", type=options.count, help="sampling rate (default: each file's own)"
    )
    options.add_work(parser, "write every N-th shard only")


def _add_an4(corpora: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        corpora,
        "an4",
        "CMU Census (AN4), the wav or the NIST sphere edition",
        "the folder with etc/ and wav/ in it, or an4_sphere.tar.gz (unpacked to DEST/an4)",
        lambda args, opts: an4.prepare(
            args.source, args.dest, opts, args.dev_speakers, args.dev_share, args.test_share
        ),
    )
    options.add_dev_speakers(parser, 6, 74)
    options.add_shares(parser, 0.0)


def _add_librispeech(corpora: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        corpora,
        "librispeech",
        "LibriSpeech: a manifest for each part, and train, dev (dev-clean), test (test-clean)",
        "the folder with train-clean-100/, dev-clean/, … in it, or a folder of chapters",
        lambda args, opts: librispeech.prepare(
            args.source, args.dest, opts, args.train, args.dev_share, args.test_share
        ),
    )
    options.add_shares(parser, None)
    parser.add_argument(
        "--train",
        metavar="PART",
        action="append",
        default=[],
        help="take only this training part, such as train-clean-100; may be repeated (default: all)",
    )


def _add_manifest(corpora: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        corpora,
        "manifest",
        "manifests of NeMo, Hugging Face, SpeechBrain, WeNet, …: JSON lines, JSON, csv or tsv",
        "a manifest; or a folder with train.json, dev.csv, …, or with metadata.csv or metadata.jsonl",
        lambda args, opts: foreign_manifest.prepare(
            args.source,
            args.dest,
            opts,
            options.table_columns(args, args.source),
            args.root,
            args.dev_share,
            args.test_share,
        ),
    )
    parser.add_argument(
        "--root",
        metavar="FOLDER",
        type=Path,
        help="what relative paths are relative to (the folder of the manifest, or else those above it)",
    )
    options.add_columns(parser, "the folder of the audio file")
    options.add_shares(parser, 0.1)


def _add_commonvoice(corpora: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        corpora,
        "commonvoice",
        "Mozilla Common Voice: train.tsv, dev.tsv, test.tsv and clips/",
        "the folder of one language, with clips/ in it",
        lambda args, opts: commonvoice.prepare(
            args.source, args.dest, opts, args.train, args.dev_share, args.test_share
        ),
    )
    parser.add_argument(
        "--train",
        metavar="NAME",
        default="train",
        help="the list to train on, such as validated: without the clips and speakers of dev and test "
        "(%(default)s)",
    )
    options.add_shares(parser, 0.0)


def _add_speechocean762(corpora: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        corpora,
        "speechocean762",
        "speechocean762: English read by Mandarin speakers",
        "the folder with train/ and test/ in it",
        lambda args, opts: speechocean762.prepare(
            args.source, args.dest, opts, args.dev_speakers, args.dev_share, args.test_share
        ),
    )
    options.add_dev_speakers(parser, 12, 125)
    options.add_shares(parser, 0.0)


def _add_kaldi(corpora: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        corpora,
        "kaldi",
        "Kaldi data folders: wav.scp, text, utt2spk, segments",
        "a Kaldi data folder, or a folder of such folders named train, dev, test",
        lambda args, opts: kaldi.prepare(
            args.source, args.dest, opts, args.root, args.dev_share, args.test_share
        ),
    )
    parser.add_argument(
        "--root",
        metavar="FOLDER",
        type=Path,
        help="what relative paths in wav.scp are relative to (the data folder, or else the one above it)",
    )
    options.add_shares(parser, 0.1)


def _add_folder(corpora: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        corpora,
        "folder",
        "your own recordings: audio files next to .txt files of the same name, or listed in a table",
        "the folder of recordings; those of one speaker in one folder, so that speakers are kept apart",
        lambda args, opts: folder.prepare(
            args.source,
            args.dest,
            replace(opts, untranscribed=args.untranscribed),
            options.table_columns(args, args.table) if args.table else None,
            args.dev_share,
            args.test_share,
            args.encoding,
        ),
    )
    parser.add_argument(
        "--table",
        metavar="FILE",
        type=Path,
        help="a table (.csv, .tsv, .jsonl) that lists audio files and texts; paths are below SOURCE",
    )
    options.add_columns(parser, "the folder of the audio file")
    parser.add_argument(
        "--untranscribed",
        action="store_true",
        help="keep audio without transcripts, for asrattn pretrain and pseudo-label",
    )
    options.add_shares(parser, 0.1)


def _add_shar(corpora: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    description = "Lhotse Shar -> manifests of its archives, to be trained on where they lie"
    parser = corpora.add_parser("shar", help=description, description=description)
    parser.set_defaults(
        run=lambda args: shards.format_shard_summary(
            lhotse_shar.index_shar(args.source, args.dest), args.dest
        )
    )
    parser.add_argument(
        "source", metavar="SOURCE", type=Path, help="the folder with cuts.000000.jsonl.gz in it"
    )
    parser.add_argument("dest", metavar="DEST", type=Path, help="a folder, such as data/corpus/train")


if __name__ == "__main__":
    sys.exit(main())
