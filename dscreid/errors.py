"""Errors that the user can fix; the tools print their message as one sentence and exit with code 2."""

#: Exit code of a process that ends because another process of its run was lost.
LOST_PROCESS = 1


class DscreidError(Exception):
    """Base class of all errors whose message names the cause and the fix."""


class DatasetError(DscreidError):
    """A dataset's root, index file or frame is missing or malformed."""


class FrameError(DatasetError):
    """A frame is missing, unreadable or incomplete; the dataset's ``on_bad_frame`` decides how to continue."""


class MissingFileError(DatasetError):
    """An index file or the image folder of a split is missing."""


class EvaluationError(DatasetError, ValueError):
    """Nothing can be measured, for example because no query has a true match."""


class CheckpointError(DscreidError):
    """A weights file or record of a run is missing, damaged, unsafe to load, or from another architecture."""


class ConfigError(DscreidError):
    """A config contains an unknown key or type, or a value out of range."""


class GalleryError(DscreidError):
    """A gallery is missing or damaged, holds features of another model, or a tracklet does not fit into it."""


class LabelingError(DscreidError):
    """Pseudo labels cannot be made or used, for example because no cluster was found."""


class ResourceError(DscreidError):
    """There is not enough memory for a computation."""


class BusyError(DscreidError):
    """Another process is using the folder of a run."""


class TrainingError(DscreidError):
    """Training cannot continue because a loss or the weights are not finite."""


class ProcessLostError(DscreidError):
    """Another process of the run ended early; the tools exit with code 1."""
