"""The one family of told errors: each says what, where and what to do. Only the command line catches it."""


class AsrattnError(Exception):
    """Something the user can mend; its message is one line."""

    exit_status = 1  # of the command that it ends


class ConfigError(AsrattnError):
    """A setting is unknown, of the wrong type or out of range."""


class AudioError(AsrattnError):
    """A sound cannot be read, or holds nothing that can be used."""


class ManifestError(AsrattnError):
    """A list of utterances is damaged, or names what is not there."""


class TextError(AsrattnError):
    """A text cannot be turned into tokens."""


class LMError(AsrattnError):
    """A language model cannot be read or written, or does not suit what it is for."""


class DataError(AsrattnError):
    """A corpus cannot be prepared, trained on or scored."""


class CheckpointError(AsrattnError):
    """A model file cannot be read or written."""


class PeerFailureError(AsrattnError):
    """Another process of the run is gone, or does not answer."""


class StoppedError(AsrattnError):
    """The run was told to stop; what it had done is on disk."""

    exit_status = 130
