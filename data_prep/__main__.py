"""python -m data_prep CORPUS SOURCE DEST: a corpus as published -> train.jsonl, dev.jsonl, test.jsonl."""

import argparse
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from asrattn.cpu_count import usable_cpus
from asrattn.errors import AsrattnError
from asrattn.sharding import UNSHARDED, JobShard
from data_prep import (
    aishell,
    an4,
    commonvoice,
    demo,
    folder,
    kaldi,
    lhotse_shar,
    librispeech,
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
        names = ("lower", "upper", "strip_punctuation", "quick", "jobs", "seed", "job_shard")
        options = PrepOptions(**{name: getattr(args, name) for name in names})
        return summary.format_summary(prepare(args, options), args.dest)

    return run


def make_parser() -> argparse.ArgumentParser:
    """All corpora and their options."""
    parser = argparse.ArgumentParser(
        prog="python -m data_prep",
        description="Turn a corpus as published into manifests: DEST/train.jsonl, dev.jsonl, test.jsonl. "
        "Every audio file is opened; unusable ones are dropped, counted, and listed in DEST/dropped.tsv.",
    )
    corpora = parser.add_subparsers(metavar="CORPUS", required=True)
    _add(
        corpora,
        "aishell",
        "AISHELL-1: Mandarin; texts without spaces",
        "the folder data_aishell/, with wav/ and transcript/ in it",
        lambda args, options: aishell.prepare(args.source, args.dest, options),
    )
    _add_an4(corpora)
    _add_folder(corpora)
    _add_kaldi(corpora)
    _add(
        corpora,
        "commonvoice",
        "Mozilla Common Voice: train.tsv, dev.tsv, test.tsv and clips/",
        "the folder of one language, with clips/ in it",
        lambda args, options: commonvoice.prepare(args.source, args.dest, options),
    )
    _add_librispeech(corpora)
    _add_speechocean762(corpora)
    _add(
        corpora,
        "demo",
        "spoken words, made offline with eSpeak NG (pip install asrattn[demo])",
        None,
        lambda args, options: demo.prepare(args.dest, options),
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
        help="punctuation out of the transcripts, except an apostrophe or a hyphen within a word",
    )
    parser.add_argument(
        "--quick", action="store_true", help="read only headers: faster, but truncated and NaN audio may pass"
    )
    _add_work(parser, "job array: scan every N-th audio file only; the run without it then scans no other")
    return parser


def _add_work(parser: argparse.ArgumentParser, shard_help: str) -> None:
    parser.add_argument(
        "--jobs",
        metavar="N",
        type=_count,
        default=usable_cpus(),
        help="files opened in parallel (%(default)s)",
    )
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="random seed (%(default)s)")
    parser.add_argument(
        "--shard",
        metavar="I/N",
        type=JobShard.parse,
        default=UNSHARDED,
        dest="job_shard",
        help=f"{shard_help} (default: all)",
    )


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
    parser.add_argument("--hours", metavar="X", type=_hours, default=0.5, help="in a shard (%(default)s)")
    parser.add_argument("--rate", metavar="HZ", type=_count, help="sampling rate (default: each file's own)")
    _add_work(parser, "write every N-th shard only")


def _add_an4(corpora: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        corpora,
        "an4",
        "CMU Census (AN4), the wav or the NIST sphere edition",
        "the folder with etc/ and wav/ in it, or an4_sphere.tar.gz (unpacked to DEST/an4)",
        lambda args, options: an4.prepare(args.source, args.dest, options, args.dev_speakers),
    )
    _add_dev_speakers(parser, 6, 74)


def _add_librispeech(corpora: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        corpora,
        "librispeech",
        "LibriSpeech: a manifest for each part, and train, dev (dev-clean), test (test-clean)",
        "the folder with train-clean-100/, dev-clean/, … in it",
        lambda args, options: librispeech.prepare(args.source, args.dest, options, args.train),
    )
    parser.add_argument(
        "--train",
        metavar="PART",
        action="append",
        default=[],
        help="take only this training part, such as train-clean-100; may be repeated (default: all)",
    )


def _add_speechocean762(corpora: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        corpora,
        "speechocean762",
        "speechocean762: English read by Mandarin speakers",
        "the folder with train/ and test/ in it",
        lambda args, options: speechocean762.prepare(args.source, args.dest, options, args.dev_speakers),
    )
    _add_dev_speakers(parser, 12, 125)


def _add_kaldi(corpora: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        corpora,
        "kaldi",
        "Kaldi data folders: wav.scp, text, utt2spk, segments",
        "a Kaldi data folder, or a folder of such folders named train, dev, test",
        lambda args, options: kaldi.prepare(
            args.source, args.dest, options, args.root, args.dev_share, args.test_share
        ),
    )
    parser.add_argument(
        "--root",
        metavar="FOLDER",
        type=Path,
        help="what relative paths in wav.scp are relative to (the data folder, or else the one above it)",
    )
    _add_shares(parser)


def _add_folder(corpora: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(
        corpora,
        "folder",
        "your own recordings: audio files next to .txt files of the same name, or listed in a table",
        "the folder of recordings; those of one speaker in one folder, so that speakers are kept apart",
        lambda args, options: folder.prepare(
            args.source,
            args.dest,
            replace(options, untranscribed=args.untranscribed),
            _table(args),
            args.dev_share,
            args.test_share,
        ),
    )
    parser.add_argument(
        "--table",
        metavar="FILE",
        type=Path,
        help="a .csv or .tsv with a header that names the columns of audio and texts",
    )
    parser.add_argument(
        "--audio-column", metavar="NAME", default="audio", help="paths below SOURCE (%(default)s)"
    )
    parser.add_argument("--text-column", metavar="NAME", default="text", help="transcripts (%(default)s)")
    parser.add_argument(
        "--speaker-column", metavar="NAME", help="speakers (default: the folder of the audio file)"
    )
    parser.add_argument("--split-column", metavar="NAME", help="train, dev or test (default: drawn)")
    parser.add_argument(
        "--untranscribed",
        action="store_true",
        help="keep audio without transcripts, for asrattn pretrain and pseudo-label",
    )
    _add_shares(parser)


def _table(args: argparse.Namespace) -> folder.TableColumns | None:
    if args.table is None:
        return None
    return folder.TableColumns(
        args.table, args.audio_column, args.text_column, args.speaker_column, args.split_column
    )


def _add_dev_speakers(parser: argparse.ArgumentParser, default: int, of: int) -> None:
    parser.add_argument(
        "--dev-speakers",
        metavar="N",
        type=_natural,
        default=default,
        help=f"speakers held out of the {of} of train as dev, none being published (%(default)s; 0: no dev)",
    )


def _add_shares(parser: argparse.ArgumentParser) -> None:
    for name in ("dev", "test"):
        parser.add_argument(
            f"--{name}-share",
            metavar="X",
            type=_share,
            default=0.1,
            help=f"share of train held out as {name} if there is none, by speakers (%(default)s; 0: no {name})",
        )


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


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


def _hours(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def _natural(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 0.5:
        raise argparse.ArgumentTypeError("must be from 0 to below 0.5")
    return value


if __name__ == "__main__":
    sys.exit(main())
