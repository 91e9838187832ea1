"""LLCM (Zhang and Wang, CVPR 2023): visible and near-infrared pictures of pedestrians in low light, nine cameras."""

import re
from collections.abc import Mapping
from typing import ClassVar

from dscreid.datasets.pictures import Picture, PictureDataset
from dscreid.registry import DATASETS
from dscreid.structures import Modality

LISTS = {'idx/train_vis.txt': Modality.RGB, 'idx/train_nir.txt': Modality.IR}
#: Folder of each test camera, its modality and number. Camera 3 has no infrared pictures.
FOLDERS = {f'test_vis/cam{number}': (Modality.RGB, number) for number in range(1, 10)}
FOLDERS |= {f'test_nir/cam{number}': (Modality.IR, number) for number in range(1, 10) if number != 3}
#: Camera in the path of a training picture: ``cam3/`` or ``_c03_``.
_CAMERA = re.compile(r'(?:^|/)cam(\d{1,2})/|_c(\d{1,2})(?=[_.])')


@DATASETS.register_module()
class LLCM(PictureDataset):
    """LLCM in its original layout; each picture is a tracklet of one frame.

    .. code-block:: text

        ROOT/
          vis/0001/0001_c01_s185535_f7010_vis.jpg ...    training pictures, with the camera in their names
          nir/0001/...
          idx/train_vis.txt  idx/train_nir.txt           one picture per line: path label
          idx/test_id.txt                                one line of comma-separated person ids
          test_vis/cam1/0004/... to test_vis/cam9/       CAMERA / PERSON / pictures
          test_nir/cam1/0004/... (there is no test_nir/cam3)

    The person ids of the training split are the labels, those of the test split the ids of ``test_id.txt``; they are
    numbered independently. Protocols: ``llcm_vis2nir`` and ``llcm_nir2vis``.
    """

    NAME = 'llcm'
    LAYOUT = (
        'idx/train_vis.txt, idx/train_nir.txt, idx/test_id.txt, test_vis/cam1/ to cam9/ and test_nir/cam1/ to cam9/'
    )
    INDEX_FILES = (*LISTS, 'idx/test_id.txt')
    PUBLISHED: ClassVar[Mapping[str, int | tuple[int, int]]] = {
        'train identities': 713,
        'test identities': 351,
        'pictures': 46_767,
    }
    pids_per_split = True

    def pictures_of(self, split: str) -> list[Picture]:
        """See the base class."""
        if split == 'test':
            return self.in_folders(['idx/test_id.txt'], FOLDERS)
        return self.in_lists(LISTS, lambda frame, modality: camera_in(frame))


def camera_in(frame: str) -> int:
    """Read the camera of a training picture from its path; 0 if there is none."""
    found = _CAMERA.search(frame)
    return int(found[1] or found[2]) if found else 0
