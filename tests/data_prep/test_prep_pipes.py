"""Commands of wav.scp: the one file of a harmless one is recognised; nothing is run."""

import pytest

from data_prep.pipes import PipeInput, read_pipe


@pytest.mark.parametrize(
    ("command", "path", "channel"),
    [
        ("cat w.wav |", "w.wav", None),
        ("cat 'my call.wav' |", "my call.wav", None),
        ("flac -c -d -s x.flac |", "x.flac", None),
        ("flac -dcs /a/x.flac|", "/a/x.flac", None),
        ("flac --decode --stdout --silent x.flac |", "x.flac", None),
        ("/k/tools/sph2pipe_v2.5/sph2pipe -f wav -p -c 2 x.sph |", "x.sph", 2),
        ("sph2pipe -f wav x.sph | sox -t wav - -r 16000 -t wav - |", "x.sph", None),
        ("sox x.mp3 -r 16k -c 1 -b 16 -t wav - |", "x.mp3", None),
        ("sox x.wav -t wav - remix 2 rate 16k |", "x.wav", 2),
        ("sox x.wav -t wav - remix - |", "x.wav", None),
        ("ffmpeg -loglevel quiet -i x.m4a -ac 1 -ar 16000 -f wav - |", "x.m4a", None),
        ("ffmpeg -nostdin -i x.m4a -f wav pipe:1 | cat - |", "x.m4a", None),
        ("opusdec --rate 16000 --force-wav x.opus - |", "x.opus", None),
        ("lame --decode --quiet x.mp3 - |", "x.mp3", None),
    ],
)
def test_the_one_file_of_a_harmless_command(command: str, path: str, channel: int | None) -> None:
    assert read_pipe(command) == PipeInput(path, channel)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("rm -rf / |", "rm is not known"),
        ("cat a.wav; rm b |", "has ';'"),
        ("cat a.wav && touch b |", "has '&&'"),
        ("cat `touch b` |", "runs another command"),
        ("cat $(touch b) |", "runs another command"),
        ("cat a.wav > b |", "has '>'"),
        ("cat < b |", "has '<'"),
        ("cat a.wav b.wav |", "does not read exactly one file"),
        ("cat |", "does not read exactly one file"),
        ("cat a.wav | cat b.wav |", "reads several files"),
        ("wget -O - http://a/b.wav |", "wget is not known"),
        ("sox a.wav -t wav - speed 1.1 |", "does not read exactly one file"),
        ("sox a.wav -t wav - rate 16k speed 1.1 |", "changes the audio"),
        ("sox -v 0.5 a.wav -t wav - |", "-v may change the audio"),
        ("sox -m a.wav b.wav -t wav - |", "-m may change the audio"),
        ("sox a.wav -t wav - remix 1,2 |", "is no channel"),
        ("sph2pipe -t 1.0:2.0 a.sph |", "-t may change the audio"),
        ("ffmpeg -ss 3 -i a.wav -f wav - |", "-ss may change the audio"),
        ("flac -d --skip=3 -c a.flac |", "may change the audio"),
        ("cat 'a.wav |", "no closing quotation"),
        ("| cat a.wav |", "empty part"),
        ("|", "empty part"),
        ("sox a.wav -t wav - remix 1 | sox - -t wav - remix 2 |", "picks several channels"),
    ],
)
def test_whatever_else_a_command_does_is_told(command: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_pipe(command)
