"""A model bundle: one folder with everything that turns frames into retrieval features, and no code."""

import copy
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from mmengine import Config
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dscreid.apis.config import config_name, load_config
from dscreid.apis.inference import init_model
from dscreid.engine.common_settings import fill_common_settings
from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.reid.base import RETRIEVALS, BaseReID
from dscreid.registry import MODELS
from dscreid.structures import RANKINGS, Ranking
from dscreid.utils.build_errors import config_errors
from dscreid.utils.checkpoint import list_differences, sha256
from dscreid.utils.files import replacing
from dscreid.utils.records import read_json_object
from dscreid.version import __version__

FORMAT = 1
CONTENT, WEIGHTS = 'bundle.json', 'model.safetensors'
_REMEDY = 'make the bundle again with dscreid bundle'
_PREFIXES = ('backbone.', 'static_neck.', 'dynamic_neck.', 'data_preprocessor.')
#: Methods that define features; a bundle holds no code, so a model must not replace them.
_FEATURES = ('extract_feat', 'rank_features', 'ranking_parts')
#: Settings of an encoder that matter only before or during training.
_TRAINING_ONLY = ('pretrained', 'pretrained_sha256', 'pretrained_activation', 'with_cp', 'init_cfg')
#: Transforms of a bundle's pipeline, in this order.
_STEPS = ('SampleFrames', 'LoadFrames')


@dataclass(frozen=True)
class Bundle:
    """Content of ``bundle.json``.

    Attributes:
        name: Name of the model, by default that of its config.
        license: Terms under which the weights may be used.
        training_data: Data that the weights were trained on.
        model: Arguments of ``BaseReID``.
        pipeline: Configs of ``SampleFrames`` and ``LoadFrames``, as in the evaluation.
        feature: ``size``, and a ``definition`` in words.
        weights_sha256: SHA-256 of ``model.safetensors``.
        custom_imports: Modules that register own classes; they must be importable where the bundle is used.
        calibration: Similarity thresholds by false-match rate, see ``Calibration.as_json``, or None.
        made_with: Version of dscreid.
        folder: Folder of the bundle.
    """

    name: str
    license: str
    training_data: str
    model: dict[str, Any]
    pipeline: list[dict[str, Any]]
    feature: dict[str, Any]
    weights_sha256: str
    custom_imports: list[str]
    calibration: dict[str, Any] | None
    made_with: str
    folder: Path

    @property
    def fingerprint(self) -> str:
        """Identifies the features: 16 hex digits of a hash of model, pipeline and weights."""
        content = json.dumps([self.model, self.pipeline, self.weights_sha256], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def scale(self) -> float:
        """Factor that gives the joined parts unit length if each part has unit length; otherwise 1."""
        ranking = RANKINGS[self.model.get('ranking') or RETRIEVALS[self.model['retrieval']]]
        return math.sqrt(1 / len(ranking.parts)) if ranking.normalized else 1.0


def make_bundle(
    config: str | Path | Config,
    checkpoint: str | Path,
    out: str | Path,
    *,
    license: str,
    training_data: str,
    flip: bool | None = None,
    name: str | None = None,
) -> Bundle:
    """Write a bundle to a new or empty folder.

    Args:
        config: Config of the model, see ``load_config``, or the config itself.
        checkpoint: See ``init_model``.
        out: Folder of the bundle.
        license: Terms under which the weights may be used, for example those of the training data.
        training_data: Data that the weights were trained on, in words.
        flip: Whether to average features with those of mirrored frames; None for the config's choice.
        name: Name of the model; by default that of the config.

    Raises:
        ConfigError: If the config has no evaluation pipeline, its model defines features in its own code, a note is
            empty, or the folder is not empty.
        CheckpointError: If the checkpoint is missing, unsafe, or does not fit.
    """
    out = Path(out)
    if not license.strip() or not training_data.strip():
        raise ConfigError('a bundle needs a license and a description of its training data; give both')
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f'{out}: already exists; choose a new or empty folder')
    config = copy.deepcopy(config) if isinstance(config, Config) else load_config(config)
    model = init_model(config, checkpoint)
    replaced = [one for one in _FEATURES if getattr(type(model), one) is not getattr(BaseReID, one)]
    if replaced:
        raise ConfigError(
            f'{type(model).__name__} replaces {replaced[0]} of BaseReID, but a bundle holds no code; move it to the '
            'backbone'
        )
    fill_common_settings(config._cfg_dict)
    weights = {key: value.contiguous() for key, value in model.state_dict().items() if key.startswith(_PREFIXES)}
    out.mkdir(parents=True, exist_ok=True)
    with replacing(out / WEIGHTS) as temporary:
        save_file(weights, temporary)
    imports = (config.get('custom_imports') or {}).get('imports') or []
    bundle = Bundle(
        name=_escaped(name or Path(config_name(config)).stem),
        license=_escaped(license.strip()),
        training_data=_escaped(training_data.strip()),
        model=_plain(_model_arguments(config, model, flip)),
        pipeline=_plain(_pipeline(config)),
        feature={
            'size': len(RANKINGS[model.ranking].parts) * model.embed_dim,
            'definition': _definition(RANKINGS[model.ranking]),
        },
        weights_sha256=sha256(out / WEIGHTS),
        custom_imports=[imports] if isinstance(imports, str) else list(imports),
        calibration=None,
        made_with=__version__,
        folder=out,
    )
    try:
        write_bundle(bundle)
    except BaseException:
        (out / WEIGHTS).unlink()  # the same command can then be repeated
        raise
    return bundle


def write_bundle(bundle: Bundle) -> None:
    """Write ``bundle.json``, for example with another calibration."""
    content = {'format': FORMAT, **asdict(bundle)}
    del content['folder']
    with replacing(bundle.folder / CONTENT) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')


def read_bundle(folder: str | Path) -> Bundle:
    """Read ``bundle.json`` and check that the weights belong to it.

    Raises:
        CheckpointError: If the folder is not a bundle, its format is unknown, or its weights are missing or belong to
            another bundle.
    """
    folder = Path(folder)
    path = folder / CONTENT
    if not path.is_file():
        raise CheckpointError(f'{folder}: contains no {CONTENT}, so it is not a model bundle; {_REMEDY}')
    content = read_json_object(path, 'description of a model bundle', _REMEDY)
    if content.pop('format', None) != FORMAT:
        raise CheckpointError(f'{path}: written in a format that this version does not know; update dscreid')
    names = {one.name for one in fields(Bundle)} - {'folder'}
    if missing := names - content.keys():
        raise CheckpointError(f'{path}: lacks {", ".join(sorted(missing))}; {_REMEDY}')
    if unknown := content.keys() - names:
        raise CheckpointError(f'{path}: has unknown entries, {", ".join(sorted(unknown))}; {_REMEDY}')
    bundle = Bundle(**content, folder=folder)
    weights = folder / WEIGHTS
    if not weights.is_file() or sha256(weights) != bundle.weights_sha256:
        raise CheckpointError(f'{weights}: missing, damaged, or from another bundle; copy the folder again')
    return bundle


def build_model(bundle: Bundle) -> BaseReID:
    """Build a bundle's model on the CPU, in evaluation mode.

    Raises:
        ConfigError: If a class of the encoder is not registered.
        CheckpointError: If the weights do not fit.
    """
    unknown = [name for name in _types(bundle.model['backbone']) if MODELS.get(name) is None]
    if unknown:
        modules = ', '.join(bundle.custom_imports) or 'the module that registers it'
        raise ConfigError(f'{bundle.folder / CONTENT}: class {unknown[0]} is unknown; import {modules} first')
    with config_errors(str(bundle.folder / CONTENT)):
        model = BaseReID(**copy.deepcopy(bundle.model))
    path = bundle.folder / WEIGHTS
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f'{path}: not a file of weights ({error}); copy the folder again') from None
    if differences := list_differences(model, weights):
        raise CheckpointError(f'{path}: does not fit the bundle ({differences[0]}); {_REMEDY}')
    model.load_state_dict(weights)
    return model.eval()


def calibrated(bundle: Bundle, calibration: Mapping[str, Any]) -> Bundle:
    """Return the bundle with another calibration, and write it."""
    changed = replace(bundle, calibration=dict(calibration))
    write_bundle(changed)
    return changed


def _model_arguments(config: Config, model: BaseReID, flip: bool | None) -> dict[str, Any]:
    preprocessor = {**(config.model.get('data_preprocessor') or {}), 'augmentation': None}
    return {
        'backbone': _without_training(config.model.backbone),
        'data_preprocessor': preprocessor,
        'retrieval': model.retrieval,
        'ranking': model.ranking,
        'flip_test': model.flip_test if flip is None else flip,
    }


def _without_training(settings: Any) -> Any:
    """Drop, at any depth, the settings that matter only for training."""
    if isinstance(settings, Mapping):
        return {key: _without_training(value) for key, value in settings.items() if key not in _TRAINING_ONLY}
    return settings


def _types(settings: Any) -> list[str]:
    """List the types of a part and of its parts."""
    if not isinstance(settings, Mapping):
        return []
    own = [settings['type']] if 'type' in settings else []
    return own + [name for value in settings.values() for name in _types(value)]


def _pipeline(config: Config) -> list[dict[str, Any]]:
    """Find the steps that sample and load frames in the evaluation."""
    dataset = (config.get('test_dataloader') or {}).get('dataset') or {}
    pipeline = dataset.get('pipeline') or config.get('eval_pipeline') or ()
    steps = [step for step in pipeline if step['type'] != 'PackTracklet']
    if [step['type'] for step in steps] != list(_STEPS):
        found = ', '.join(step['type'] for step in steps) or 'nothing'
        raise ConfigError(f'the evaluation pipeline is {found}; a bundle needs exactly {" and ".join(_STEPS)}')
    return steps


def _definition(ranking: Ranking) -> str:
    parts = ' and '.join(
        part if '_' not in part else f'{part.removeprefix("neck_")} after its neck' for part in ranking.parts
    )
    if not ranking.normalized:
        return f'{parts}, joined; compare by inner product'
    return f'{parts}, L2-normalized' + (', joined, divided by sqrt(2): unit length' if len(ranking.parts) == 2 else '')


def _escaped(text: str) -> str:
    """Replace bytes of file names that are not UTF-8."""
    return text.encode('utf-8', 'backslashreplace').decode()


def _plain(value: Any) -> Any:
    """Convert configs to values that JSON can represent."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ConfigError(f'{value!r} cannot be written to a bundle; use numbers, text, lists and dicts in the config')
