"""RegDB (Nguyen et al., Sensors 2017): visible and thermal pictures of pedestrians, ten of each in both."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from dscreid.datasets.pictures import Picture, PictureDataset
from dscreid.errors import ConfigError
from dscreid.registry import DATASETS
from dscreid.structures import Modality

TRIALS = range(1, 11)
#: The two cameras of the dual sensor, as published code numbers them.
CAMERAS = {Modality.RGB: 1, Modality.IR: 2}


@DATASETS.register_module()
class RegDB(PictureDataset):
    """RegDB in its original layout; each picture is a tracklet of one frame.

    .. code-block:: text

        ROOT/
          Visible/...  Thermal/...      pictures
          idx/train_visible_1.txt       one picture per line: path label
          idx/train_thermal_1.txt  idx/test_visible_1.txt  idx/test_thermal_1.txt      and so on for trials 1 to 10

    The person ids are the labels, which are numbered anew in each file. The camera is 1 for visible and 2 for thermal
    pictures. Protocols: ``regdb_visible2thermal`` and ``regdb_thermal2visible``. The published figures are means over
    the models of the ten trials.

    Args:
        root: Folder of the dataset.
        split: ``'train'`` or ``'test'``.
        trial: Which of the ten published divisions into training and test persons to read, 1 to 10.
        **kwargs: See ``TrackletDataset``.
    """

    NAME = 'regdb'
    LAYOUT = 'Visible/, Thermal/ and idx/{train,test}_{visible,thermal}_{1..10}.txt'
    INDEX_FILES = tuple(
        f'idx/{split}_{kind}_{trial}.txt' for trial in TRIALS for split in ('train', 'test')
        for kind in ('visible', 'thermal')
    )  # fmt: skip
    PUBLISHED: ClassVar[Mapping[str, int | tuple[int, int]]] = {
        'train identities': 206,
        'test identities': 206,
        'pictures': 8_240,
    }
    DIVIDED_BY = ('trial',)
    pids_per_split = True
    common_settings = MappingProxyType({**PictureDataset.common_settings, 'trial': 'trial'})

    def __init__(self, root: str | Path, split: str, trial: int = 1, **kwargs: Any) -> None:
        if trial not in TRIALS:
            raise ConfigError(f'RegDB: trial must be a whole number from 1 to 10, got {trial!r}')
        self.trial = trial
        super().__init__(root, split, **kwargs)

    def pictures_of(self, split: str) -> list[Picture]:
        """See the base class."""
        lists = {'visible': Modality.RGB, 'thermal': Modality.IR}
        files = {f'idx/{split}_{kind}_{self.trial}.txt': modality for kind, modality in lists.items()}
        return self.in_lists(files, lambda frame, modality: CAMERAS[modality])
