"""Attention-based speech recognition: wave → front-end → encoder → attention decoder → search → text → WER.

`from asrattn import Recognizer` loads torch; `import asrattn` alone loads nothing.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asrattn.inference.recognizer import Recognizer

__all__ = ["Recognizer", "__version__"]
__version__ = "0.2.0"


def __getattr__(name: str) -> object:
    """What is heavy is loaded when it is asked for (PEP 562)."""
    if name == "Recognizer":
        from asrattn.inference.recognizer import Recognizer

        return Recognizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
