"""SYSU-MM01 (Wu et al., ICCV 2017): visible and infrared pictures of pedestrians under six cameras."""

from collections.abc import Mapping
from typing import ClassVar

from dscreid.datasets.pictures import Picture, PictureDataset
from dscreid.registry import DATASETS
from dscreid.structures import Modality

#: Folder of each camera, its modality and number; cameras 1 and 2 are indoors.
CAMERAS = {f'cam{number}': (Modality.IR if number in (3, 6) else Modality.RGB, number) for number in range(1, 7)}


@DATASETS.register_module()
class SYSUMM01(PictureDataset):
    """SYSU-MM01 in its original layout; each picture is a tracklet of one frame.

    .. code-block:: text

        ROOT/
          cam1/0001/0001.jpg ...    CAMERA / PERSON / pictures; cameras 3 and 6 are infrared
          exp/train_id.txt          one line of comma-separated person ids
          exp/val_id.txt            the same; persons of the training split too, as in all published work
          exp/test_id.txt

    Protocols: ``sysu_mm01_all_single``, ``sysu_mm01_indoor_single``, ``sysu_mm01_all_multi`` and
    ``sysu_mm01_indoor_multi``.
    """

    NAME = 'sysu_mm01'
    LAYOUT = 'cam1/ to cam6/ with a folder of four digits for each person, and exp/{train,val,test}_id.txt'
    INDEX_FILES = ('exp/train_id.txt', 'exp/val_id.txt', 'exp/test_id.txt')
    ID_FILES: ClassVar[Mapping[str, tuple[str, ...]]] = {'train': INDEX_FILES[:2], 'test': INDEX_FILES[2:]}
    PUBLISHED: ClassVar[Mapping[str, int | tuple[int, int]]] = {
        'train identities': 395,
        'test identities': 96,
        'train visible pictures': 22_258,
        'train infrared pictures': 11_909,
        'test infrared pictures': 3_803,
    }

    def pictures_of(self, split: str) -> list[Picture]:
        """See the base class."""
        return self.in_folders(self.ID_FILES[split], CAMERAS)
