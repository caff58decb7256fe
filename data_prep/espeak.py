"""eSpeak NG 1.52 through ctypes, from the library and data of the package espeakng-loader (extra `demo`)."""

import ctypes
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asrattn.errors import DataError

# From speak_lib.h.
_SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: samples go to the callback, in this thread
_DONT_EXIT = 0x8000  # espeak_Initialize: an error is returned and does not end the process
_UTF8 = 1  # espeak_Synth
_RATE, _VOLUME, _PITCH, _WORD_GAP = 1, 2, 3, 7  # espeak_PARAMETER

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Synthesizer:
    """The opened library. It keeps its state globally: one at a time, in one thread."""

    def __init__(self, library: ctypes.CDLL, data: Path) -> None:
        self._library = library
        self._variants = data / "voices" / "!v"
        self._blocks: list[NDArray[np.int16]] = []
        self._callback = _Callback(self._receive)  # kept here: the library only holds a pointer
        library.espeak_Synth.argtypes = [
            *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint),
            *(ctypes.c_void_p, ctypes.c_void_p),
        ]
        library.espeak_ng_SetRandSeed.argtypes = [ctypes.c_long]
        library.espeak_ng_SetRandSeed.restype = None
        self.rate: int = library.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), _DONT_EXIT)
        if self.rate <= 0:
            raise DataError(f"{data}: eSpeak NG cannot read its data; install espeakng-loader again")
        library.espeak_SetSynthCallback(self._callback)

    def synthesize(
        self, text: str, language: str, variant: str, *, speed: int, pitch: int, gap: int, seed: int
    ) -> NDArray[np.float32]:
        """(S,) at `self.rate`, within ±1; the same arguments give the same samples.

        speed   words a minute, 80 … 450
        pitch   0 … 100
        gap     pause between words, in units of 10 ms at the usual speed

        Raises DataError for a language or voice variant that is not there.
        """
        # The library reports success if a variant does not exist, and uses its usual voice.
        if not (self._variants / variant).is_file():
            raise DataError(f"eSpeak NG has no voice variant {variant!r}; see the folder {self._variants}")
        call, content = self._library, text.encode()
        call.espeak_ng_SetRandSeed(seed)
        status = call.espeak_SetVoiceByName(f"{language}+{variant}".encode())
        for parameter, value in ((_RATE, speed), (_VOLUME, 50), (_PITCH, pitch), (_WORD_GAP, gap)):
            status = status or call.espeak_SetParameter(parameter, value, 0)
        self._blocks.clear()
        status = status or call.espeak_Synth(content, len(content) + 1, 0, 0, 0, _UTF8, None, None)
        if status or not self._blocks:
            raise DataError(f"eSpeak NG cannot speak {text!r} with {language}+{variant} (status {status})")
        return np.concatenate(self._blocks).astype(np.float32) * np.float32(2**-15)

    def _receive(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: int) -> int:
        if samples and count > 0:
            self._blocks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0


@contextmanager
def open_synthesizer() -> Iterator[Synthesizer]:
    """The library, until the end of the block: the same calls in the same order give the same samples.

    Its state (phases, flutter) lives on from one utterance to the next and survives espeak_Terminate, so each block
    loads a copy of its own. Raises DataError where espeakng-loader is not installed.
    """
    try:
        import espeakng_loader
    except ModuleNotFoundError:
        raise DataError("synthetic speech needs eSpeak NG; pip install asrattn[demo]") from None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        source = Path(espeakng_loader.get_library_path())
        copy = Path(folder, source.name)
        # A link because the library cuts the path of its data at 160 characters.
        data = Path(folder, "espeak-ng-data")
        try:
            shutil.copyfile(source, copy)
            data.symlink_to(espeakng_loader.get_data_path(), target_is_directory=True)
            library = ctypes.CDLL(str(copy))
        except OSError as error:
            raise DataError(f"eSpeak NG cannot be loaded ({error}); install espeakng-loader again") from None
        try:
            yield Synthesizer(library, data)
        finally:
            library.espeak_Terminate()
