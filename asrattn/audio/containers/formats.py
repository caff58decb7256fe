"""The format of a file by its first bytes."""

_FFMPEG_FORMATS = (  # place, bytes, FFmpeg's name: what libsndfile does not know
    (4, b"ftyp", "mp4"),
    (4, b"moov", "mp4"),
    (4, b"mdat", "mp4"),
    (4, b"wide", "mp4"),
    (4, b"free", "mp4"),
    (4, b"skip", "mp4"),
    (0, b"\x1aE\xdf\xa3", "matroska"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (0, b"#!AMR", "amr"),
    (0, b"FLV\x01", "flv"),
    (8, b"AVI ", "avi"),
    (0, b"MAC ", "ape"),
    (0, b"wvPk", "wv"),
    (0, b"TTA1", "tta"),
    (0, b"DSD ", "dsf"),
    (0, b"ajkg", "shn"),
    (0, b"\x0b\x77", "ac3"),
    (0, b"\x00\x00\x01\xba", "mpeg"),
    (28, b"\x7fFLAC", "ogg"),
    (28, b"Speex   ", "ogg"),
)
_LIBSNDFILE_FORMATS = (  # place, bytes, name, FFmpeg's name for codings that libsndfile lacks
    (8, b"WAVE", "riff", "wav"),
    (8, b"AIFF", "aiff", "aiff"),
    (8, b"AIFC", "aiff", "aiff"),
    (0, b"riff\x2e\x91\xcf\x11", "w64", "w64"),
    (0, b"caff", "caf", "caf"),
    (0, b".snd", "au", "au"),
    (0, b"dns.", "au", ""),
    (0, b"NIST_1A", "nist", "nistsphere"),
    (0, b"OggS", "ogg", ""),  # of a damaged one FFmpeg would read what it can
    (0, b"fLaC", "flac", ""),
    (0, b"Creative Voice File\x1a", "voc", "voc"),
    (0, b"2BIT", "plain", ""),
    (0, b"PVF1", "plain", ""),
    (0, b" paf", "plain", ""),
    (0, b"fap ", "plain", ""),
    (8, b"8SVX", "plain", ""),
    (8, b"16SV", "plain", ""),
    (0, b"\x64\xa3", "plain", ""),  # IRCAM
    (2, b"\xa3\x64", "plain", ""),
    (0, b"\xf0\x7e", "plain", ""),  # SDS
    (0, b"ALawSoundFile", "plain", ""),
    (0, b"MATLAB 5", "plain", ""),
)
_TS_PACKET_BYTES = 188
_SOUNDFILE_SUFFIXES = """wav wave bwf rf64 w64 flac mp3 mp2 mp1 mpga ogg oga opus aiff aif aifc au snd caf sph nist voc
    avr paf sf ircam svx iff 8svx pvf sds"""
_FFMPEG_SUFFIXES = """m4a m4b m4r m4v mp4 mov qt 3gp 3g2 webm weba mkv mka aac adts wma wmv asf amr awb flv f4a f4v avi
    ape wv tta dsf shn ac3 mpg mpeg mts m2ts ogv ogx spx"""
# Suffixes of files that are taken from folders; what is in a file decides how it is read.
EXTENSIONS = frozenset(f".{suffix}" for suffix in (_SOUNDFILE_SUFFIXES + " " + _FFMPEG_SUFFIXES).split())


def ffmpeg_format(head: bytes) -> str:
    """FFmpeg's name of a format that libsndfile does not know; "" for any other."""
    for place, mark, name in _FFMPEG_FORMATS:
        if head[place : place + len(mark)] == mark:
            return name
    if len(head) >= 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "aac"
    packets = head[::_TS_PACKET_BYTES]
    return "mpegts" if len(packets) > 2 and set(packets) == {0x47} else ""


def libsndfile_format(head: bytes) -> str:
    """How a format that libsndfile knows is laid out: the name of its parser, or plain; "" if the bytes do not show."""
    return next((name for place, mark, name, _ in _LIBSNDFILE_FORMATS if _has(head, place, mark)), "")


def ffmpeg_alternative(head: bytes) -> str:
    """FFmpeg's name of a format in which libsndfile knows only some codings; "" for none."""
    return next((name for place, mark, _, name in _LIBSNDFILE_FORMATS if _has(head, place, mark)), "")


def _has(head: bytes, place: int, mark: bytes) -> bool:
    return head[place : place + len(mark)] == mark
