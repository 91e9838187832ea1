"""Export a bundle to one file that runs without dscreid's model code: ONNX, or PyTorch's ``.pt2``."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dscreid.deployment.bundle import Bundle, build_model
from dscreid.deployment.frames import FrameLoader
from dscreid.errors import CheckpointError, ConfigError, TrainingError
from dscreid.utils.files import check_replaceable, replacing

SUFFIXES = ('.onnx', '.pt2')
#: Key of the description in the file's metadata.
METADATA = 'dscreid'
#: Largest allowed difference from PyTorch for features of unit length, without and with half precision.
TOLERANCE = {False: 1e-4, True: 2e-2}
#: Function of an exported file, from uint8 (N, T, 3, H, W) to float32 (N, D).
Session = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
INPUT, OUTPUT = 'frames', 'features'


class FramesToFeatures(nn.Module):
    """A bundle's model as one function, from uint8 frames (N, T, 3, H, W) to float32 features (N, D)."""

    def __init__(self, bundle: Bundle, half: bool = False) -> None:
        super().__init__()
        model = build_model(bundle)
        if model.needs_modalities:
            raise ConfigError(
                f'{bundle.folder}: its encoder needs the modality of each tracklet and cannot be exported'
            )
        if half:
            model.backbone = _HalfPrecision(model.backbone)
        self.model = model
        self.scale = bundle.scale

    def forward(self, frames: Tensor) -> Tensor:
        """Normalize the frames and compute the features."""
        preprocessor: Any = self.model.data_preprocessor
        inputs = preprocessor.normalize(frames.float() / 255)
        return self.model.rank_features(inputs) * self.scale


class _HalfPrecision(nn.Module):
    """An encoder that computes in float16; the small necks after it stay in float32."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder.half()

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        static, dynamic = self.encoder(inputs.half())
        return static.float(), dynamic.float()


def export_bundle(
    bundle: Bundle, out: str | Path, half: bool = False, examples: npt.NDArray[np.uint8] | None = None
) -> float:
    """Write a bundle's model with its preprocessing to a file, and compare the file's features with the bundle's.

    The batch size is free; the number and size of frames are those of the bundle's pipeline.

    Args:
        bundle: The bundle.
        out: ``.onnx`` or ``.pt2`` file.
        half: Whether the encoder's weights and computation are float16.
        examples: Frames of real tracklets, uint8 (N, T, 3, H, W), to compare in addition to random ones.

    Returns:
        The largest difference of a feature's value.

    Raises:
        ConfigError: If the suffix is unknown, ONNX is not installed, or the encoder needs modalities.
        TrainingError: If the difference exceeds ``TOLERANCE``; then nothing is written.
    """
    out = Path(out)
    if out.suffix not in SUFFIXES:
        raise ConfigError(f'{out}: the suffix must be {" or ".join(SUFFIXES)}')
    check_replaceable(out)
    shape = FrameLoader(bundle).shape
    frames, height, width = shape
    random = np.random.default_rng(0).integers(0, 256, (3, frames, 3, height, width), dtype=np.uint8)
    module = FramesToFeatures(bundle, half).eval()
    description = json.dumps({name: value for name, value in asdict(bundle).items() if name != 'folder'})
    program = torch.export.export(
        module,
        (torch.from_numpy(random),),
        dynamic_shapes={'frames': {0: torch.export.Dim('batch', min=1)}},
        strict=False,
    )
    with replacing(out) as temporary:
        if out.suffix == '.pt2':
            content = io.BytesIO()  # torch ends the process if it cannot write a file
            torch.export.save(program, content, extra_files={METADATA: description})
            temporary.write_bytes(content.getbuffer())
        else:
            _write_onnx(program, temporary, description)
        run = read_exported(temporary)[1]
        reference = FramesToFeatures(bundle).eval()
        compared = [random[:1], random, *(() if examples is None else [examples])]
        difference = max(_difference(run, reference, one) for one in compared)
        if not difference <= TOLERANCE[half]:
            raise TrainingError(
                f'{out}: features differ by {difference:.1e} from those of the bundle, which exceeds '
                f'{TOLERANCE[half]:.0e}; nothing was written'
            )
    return difference


def read_exported(path: Path) -> tuple[Bundle, Session]:
    """Read an exported file: the description of its bundle, and a function from frames to features.

    The function maps uint8 (N, T, 3, H, W) to float32 (N, D) arrays.

    Raises:
        CheckpointError: If the file is missing or was not exported by dscreid.
        ConfigError: If ONNX files cannot be run because onnxruntime is not installed.
    """
    if not path.is_file():
        raise CheckpointError(f'{path}: the file is missing; export it with dscreid export')
    read = _read_pt2 if path.suffix == '.pt2' else _read_onnx
    text, session = read(path)
    try:
        description = json.loads(text)
        return Bundle(**description, folder=path), session
    except (ValueError, TypeError):
        raise CheckpointError(f'{path}: was not exported by dscreid; export it with dscreid export') from None


def _read_pt2(path: Path) -> tuple[str, Session]:
    extra = {METADATA: ''}
    try:
        module = torch.export.load(path, extra_files=extra).module()
    except (RuntimeError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise _foreign(path, error) from None

    def run(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            return module(torch.from_numpy(np.ascontiguousarray(frames))).numpy()

    return extra[METADATA], run


def _read_onnx(path: Path) -> tuple[str, Session]:
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError(f'{path}: ONNX files need onnxruntime; pip install "dscreid[export]"') from None
    options = onnxruntime.SessionOptions()
    # at its highest level, onnxruntime 1.32 crashes on float16 graphs
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    except Exception as error:  # onnxruntime's errors have no common class
        raise _foreign(path, error) from None
    text = session.get_modelmeta().custom_metadata_map.get(METADATA, '')
    return text, lambda frames: session.run([OUTPUT], {INPUT: np.ascontiguousarray(frames)})[0]


def _foreign(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f'{path}: cannot be loaded ({str(error).splitlines()[0]}); export it again')


def _difference(run: Session, reference: FramesToFeatures, frames: npt.NDArray[np.uint8]) -> float:
    with torch.inference_mode():
        expected = reference(torch.from_numpy(frames)).numpy()
    return float(np.abs(run(frames) - expected).max())


def _write_onnx(program: Any, path: Path, description: str) -> None:
    try:
        import onnx
        import onnxscript  # noqa: F401  # torch's exporter needs it
    except ImportError as error:
        raise ConfigError(f'ONNX needs {error.name}; pip install "dscreid[export]", or write a .pt2 file') from None
    exported = torch.onnx.export(program, input_names=[INPUT], output_names=[OUTPUT], dynamo=True, verbose=False)
    assert exported is not None
    model = exported.model_proto
    onnx.helper.set_model_props(model, {METADATA: description})
    onnx.checker.check_model(model)
    onnx.save_model(model, path)
