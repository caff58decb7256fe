"""PyAV backend (an extra): the audio track of m4a, mp4, mov, webm, mkv and aac."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from asrattn.audio.interface import AudioDecoder, Wave, explain_decode_error, truncation_error
from asrattn.errors import AudioError


class _PyAVDecoder:
    """The first audio track of a container."""

    def __init__(self, container: Any, seconds: float) -> None:
        self.container, self.stream = container, container.streams.audio[0]
        self.rate: int = self.stream.rate or 0
        self.channels: int = self.stream.channels
        self.slack = self.rate // 10  # containers count in packets and milliseconds
        self.frames = round(seconds * self.rate)

    def blocks(self, begin: int, count: int) -> Iterator[Wave]:
        import av

        origin = self.stream.start_time or 0
        if begin and self.container.format.name != "aac":  # a bare aac stream has no index to seek in
            before = max(begin / self.rate - 0.25, 0.0)  # codecs need a run-up
            self.container.seek(int(before / self.stream.time_base) + origin, stream=self.stream)
        planes = av.AudioResampler(format="fltp")
        at: int | None = None
        for frame in self.container.decode(self.stream):
            if at is None:
                at = round(((frame.pts or origin) - origin) * self.stream.time_base * self.rate)
            for part in planes.resample(frame):
                block = part.to_ndarray().mean(axis=0)
                wanted = block[max(begin - at, 0) : max(begin + count - at, 0)]
                at += len(block)
                if len(wanted):
                    yield wanted
            if at >= begin + count:
                return


def _seconds(path: Path, container: Any, stream: Any) -> float:
    """Length by the index where there is one, else by the packets' times, without decoding."""
    bare = container.format.name == "aac"
    if stream.duration is not None and not bare:
        return float(stream.duration * stream.time_base)
    ends = (p.pts + (p.duration or 0) for p in container.demux(stream) if p.pts is not None)
    seconds = float((max(ends, default=0) - (stream.start_time or 0)) * stream.time_base)
    promised = (container.duration or 0) / 1e6
    if seconds < promised - 0.1 and len(container.streams) == 1 and not bare:
        raise truncation_error(path, f"after {seconds:.2f} s of {promised:.2f} s")
    return seconds


@contextmanager
def open_pyav(path: Path, file: IO[bytes], name: str) -> Iterator[AudioDecoder]:
    """FFmpeg's view of the file as a container of the format `name`. Raises AudioError, also inside the with block."""
    try:
        import av
    except ModuleNotFoundError:
        raise AudioError(f"{path}: is {name}, which needs PyAV; pip install asrattn[video]") from None
    try:
        # An open file and a fixed format: nothing in it can make FFmpeg open another file or an address.
        with av.open(file, format=name, metadata_errors="replace") as container:
            if not container.streams.audio:
                raise AudioError(f"{path}: holds no audio track; name another file")
            seconds = _seconds(path, container, container.streams.audio[0])
        file.seek(0)  # opened anew, for a decoder that is rewound loses its first packet
        with av.open(file, format=name, metadata_errors="replace") as container:
            yield _PyAVDecoder(container, seconds)
    except av.FFmpegError as error:
        raise AudioError(f"{path}: {explain_decode_error(0, str(error.strerror))}") from None
