"""Errors that a user can mend: the tools print their one sentence and exit with code 2."""

#: Exit code of a process that ends because another process of its run was lost.
LOST_PROCESS = 1


class DscreidError(Exception):
    """Base of all errors whose message names the cause and the remedy."""


class DatasetError(DscreidError):
    """A dataset's root, index file or frame is missing or malformed."""


class FrameError(DatasetError):
    """A frame is missing, unreadable or no complete image; a dataset's ``on_bad_frame`` decides what follows."""


class MissingFileError(DatasetError):
    """An index file or the image folder of a split is missing."""


class EvaluationError(DatasetError, ValueError):
    """Nothing can be measured, for example because no query has a true match."""


class CheckpointError(DscreidError):
    """A weights file or record of a run is missing, damaged, unsafe to load, or belongs to another architecture."""


class DamagedStateError(CheckpointError):
    """A checkpoint whose weights are whole, but not what a run needs beside them to go on."""


class ConfigError(DscreidError):
    """A config names an unknown key or type, or a value out of range."""


class LabelingError(DscreidError):
    """Pseudo labels cannot be made or used, for example because no cluster was found."""


class ResourceError(DscreidError):
    """Memory does not suffice for what is to be computed."""


class BusyError(DscreidError):
    """Another process works in the folder that a run wants for itself."""


class TrainingError(DscreidError):
    """Training went wrong beyond repair: a loss or the weights are not finite."""


class ProcessLostError(DscreidError):
    """Another process of the run ended before the run did; the tools exit with code 1."""
