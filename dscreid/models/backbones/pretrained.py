"""Loading of published or exported weights into CLIP's vision tower."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor, nn

from dscreid.errors import CheckpointError, ConfigError
from dscreid.models.backbones.positional import resize_positional_embedding
from dscreid.utils.checkpoint import in_words, list_differences, load_weights, read_metadata, sha256
from dscreid.utils.files import existing_file
from dscreid.utils.shipped import locate_weights
from dscreid.utils.torchscript import is_torchscript

# From OpenAI's release, whose address contains the hash; open_clip's pretrained.py lists the same.
OPENAI_VIT_B_16_SHA256 = '5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f'
OPENAI_VIT_B_16_URL = f'https://openaipublic.azureedge.net/clip/models/{OPENAI_VIT_B_16_SHA256}/ViT-B-16.pt'
OPENAI_VIT_B_16_HUB = 'timm/vit_base_patch16_clip_224.openai (open_clip_model.safetensors)'
TOWER_KIND = 'dscreid-tower'
#: What the Hugging Face hub keeps beside open_clip's weights; its ``model_cfg`` says whether they use QuickGELU.
OPEN_CLIP_CONFIG = 'open_clip_config.json'

# Settings that must agree between an exported tower and the config; image_size may differ (it is resized).
_STRICT_SETTINGS = ('patch_size', 'width', 'layers', 'heads', 'stem')
# Parts of a CLIP model beside its visual tower, in OpenAI's and open_clip's naming.
_TEXT_PARTS = (
    'transformer.',
    'token_embedding.',
    'positional_embedding',
    'ln_final.',
    'text_projection',
    'text.',
    'logit_scale',
    'logit_bias',
    'attn_mask',
    'input_resolution',
    'context_length',
    'vocab_size',
)
_OPENAI_HEAD_WIDTH = 64


@dataclass(frozen=True)
class TowerFile:
    """A tower as a file holds it.

    Attributes:
        weights: Tensors of the visual tower by open_clip's names, dtypes as stored.
        activation: 'quick_gelu' or 'gelu'.
        settings: What the file says about its tower; for exported towers ``image_size`` and the strict
            settings, otherwise what is known of it.
        square: Whether the grid of positions is known to be square, as in every published CLIP model.
    """

    weights: dict[str, Tensor]
    activation: str
    settings: dict = field(default_factory=dict)
    square: bool = False


def skip_pretrained(model: nn.Module) -> None:
    """Keep ``init_weights`` of a model from reading pretrained towers: its weights come from a checkpoint.

    MMEngine's runner calls ``init_weights`` before it loads or resumes, so call this first.

    Args:
        model: Any model; the towers inside it are marked as initialised.
    """
    for module in model.modules():
        if hasattr(module, 'pretrained_sha256'):
            module.is_init = True


def load_pretrained_tower(
    tower: nn.Module, path: str, sha256: str | None = None, activation: str | None = None
) -> None:
    """Load a weights file into a :class:`CLIPVisionTransformer`.

    Args:
        tower: Changed in place.
        path: See ``pretrained`` of the class.
        sha256: Hash that the file must have; None to accept any.
        activation: The activation with which the file was trained, needed if the file does not say so itself.

    Raises:
        CheckpointError: When the file is missing, has another hash, is damaged, or does not fit the tower.
        ConfigError: When its activation is unknown or is not the tower's, or two statements about it contradict.
    """
    file = read_tower(path, sha256, activation)
    _check_activation(path, file, tower.settings['activation'])
    _check_settings(path, file, tower.settings)
    weights = dict(file.weights)
    if 'positional_embedding' in weights:
        weights['positional_embedding'] = fit_positional_embedding(
            weights['positional_embedding'], tower.grid_size, path, file.settings, file.square
        )
    differences = list_differences(tower, weights)
    if differences:
        raise CheckpointError(f'{path}: does not fit the tower of the config ({in_words(differences)}).')
    tower.load_state_dict(weights)


def read_tower(path: str, sha256: str | None = None, activation: str | None = None) -> TowerFile:
    """Read the visual tower of a weights file.

    Args:
        path: See ``pretrained`` of :class:`CLIPVisionTransformer`.
        sha256: Hash that the file must have; None to accept any.
        activation: What the config says about the file's activation.

    Raises:
        CheckpointError: When the file is missing, has another hash, or is no CLIP model or tower.
        ConfigError: When neither the file nor ``activation`` says the activation, or the two contradict.
    """
    file = existing_file(locate_weights(path))
    if file is None:
        raise CheckpointError(
            f"{path}: pretrained weights not found; for CLIP ViT-B/16 get OpenAI's file from "
            f'{OPENAI_VIT_B_16_URL} (sha256 {OPENAI_VIT_B_16_SHA256}), or from the Hugging Face hub '
            f'{OPENAI_VIT_B_16_HUB}, and give its path as `pretrained`.'
        )
    check_hash(file, sha256)
    content = load_weights(file)
    weights = _visual_tower(path, content)
    known, settings = _describe(file, weights)
    if known and activation and known != activation:
        raise ConfigError(f'{path}: was trained with {known}, but pretrained_activation says {activation}.')
    if not (known or activation):
        raise ConfigError(
            f"{path}: does not say with which activation it was trained; set pretrained_activation='quick_gelu' in "
            "the tower's config for weights of OpenAI, 'gelu' for most others of open_clip."
        )
    whole_model = any(name.startswith('visual.') for name in content)
    return TowerFile(weights, known or activation, settings, square=whole_model)


def fit_positional_embedding(
    embedding: Tensor, grid: tuple, path: str, settings: dict | None = None, square: bool = False
) -> Tensor:
    """Resize a file's positional embedding to a tower's grid.

    Args:
        embedding: ``(1 + P, D)``, floating point.
        grid: The tower's grid ``(H, W)``.
        path: The file, for the message.
        settings: The file's settings; with ``image_size`` and ``patch_size`` they give the file's grid.
        square: Whether the file's grid is known to be square. Otherwise, it may be square or ``grid``.

    Returns:
        float32 ``(1 + H * W, D)``.

    Raises:
        CheckpointError: When the file's grid is unknown or ambiguous.
    """
    if embedding.ndim != 2 or not embedding.is_floating_point():
        raise CheckpointError(
            f'{path}: positional_embedding is {embedding.dtype} of shape {tuple(embedding.shape)}, expected '
            'floating-point numbers of shape (1 + P, D).'
        )
    source = _file_grid(len(embedding) - 1, tuple(grid), path, settings or {}, square)
    return resize_positional_embedding(embedding.float(), source, grid)


def _file_grid(positions: int, grid: tuple, path: str, settings: dict, square: bool) -> tuple[int, int]:
    """Find the grid ``(h, w)`` of a file from its number of positions and what else is known of it."""
    side = math.isqrt(max(positions, 0))
    if 'image_size' in settings:
        candidates = {tuple(pixels // settings['patch_size'] for pixels in settings['image_size'])}
    else:
        candidates = {(side, side)} if square else {(side, side), grid}
    candidates = sorted(shape for shape in candidates if shape[0] * shape[1] == positions)
    if not candidates:
        raise CheckpointError(
            f'{path}: positional_embedding has {positions + 1} rows, which is neither a class position and a square '
            f'grid nor a class position and a {grid[0]}x{grid[1]} grid; use the config with which the file was '
            'written.'
        )
    if len(candidates) > 1:
        shapes = ' or '.join(f'{height}x{width}' for height, width in candidates)
        raise CheckpointError(
            f'{path}: its {positions} positions may be a grid of {shapes}, and the file does not say which; export '
            'the tower with tools/model_converters/export_tower.py, which records its image_size, or choose another '
            'image_size.'
        )
    return candidates[0]


def check_hash(file: Path, expected: str | None) -> None:
    """Check a weights file against the hash that a config gives.

    Args:
        file: An existing file.
        expected: SHA-256, hexadecimal; None accepts any file.

    Raises:
        CheckpointError: The file has another hash.
    """
    if expected is None:
        return
    found = sha256(file)
    if found != expected.lower():
        raise CheckpointError(
            f'{file}: has sha256 {found}, expected {expected.lower()}; fetch the file again, or give the '
            f'hash of the file that you mean as `pretrained_sha256`.'
        )


def _visual_tower(path: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Keep the visual tower without its projection; refuse what is neither tower nor known text part."""
    if any(name.startswith('visual.') for name in weights):
        tower = {
            name.removeprefix('visual.'): value
            for name, value in weights.items()
            if name.startswith('visual.')
        }
        unknown = [name for name in weights if not name.startswith(('visual.', *_TEXT_PARTS))]
        if unknown:
            raise CheckpointError(
                f'{path}: holds weights that belong to no CLIP model ({", ".join(unknown[:10])}).'
            )
    else:
        tower = dict(weights)
    tower.pop('proj', None)
    if 'class_embedding' not in tower:
        raise CheckpointError(f'{path}: holds no vision transformer of CLIP (class_embedding is missing).')
    return tower


def _describe(file: Path, weights: dict[str, Tensor]) -> tuple[str | None, dict]:
    """Return a file's activation (None if it does not say) and settings."""
    metadata = read_metadata(file)
    if metadata.get('kind') == TOWER_KIND:
        settings = _exported_settings(file, metadata.get('settings', ''))
        return settings['activation'], settings
    if is_torchscript(file):  # only OpenAI published CLIP so
        return 'quick_gelu', {'heads': weights['class_embedding'].numel() // _OPENAI_HEAD_WIDTH}
    return _activation_beside(file), {}


def _activation_beside(file: Path) -> str | None:
    """Activation that the hub's config beside a file gives, or None without one.

    Raises:
        CheckpointError: The config is damaged.
    """
    path = file.parent / OPEN_CLIP_CONFIG
    if not path.is_file():
        return None
    try:
        quick_gelu = json.loads(path.read_text(encoding='utf-8'))['model_cfg'].get('quick_gelu', False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        quick_gelu = None
    if not isinstance(quick_gelu, bool):
        raise CheckpointError(f'{path}: is not a config of open_clip; download it again, or remove it.')
    return 'quick_gelu' if quick_gelu else 'gelu'


def _exported_settings(file: Path, text: str) -> dict:
    """Settings that ``export_tower`` wrote into a file.

    Raises:
        CheckpointError: They are no settings.
    """
    try:
        settings = json.loads(text)
        sizes = [settings['patch_size'], *settings['image_size']]
        usable = isinstance(settings['activation'], str) and len(sizes) == 3
        usable = usable and all(type(size) is int and 0 < size < 2**20 for size in sizes)
    except (ValueError, KeyError, TypeError, RecursionError):
        usable = False
    if not usable:
        raise CheckpointError(f'{file}: its settings are damaged; export the tower again.')
    return settings


def _check_activation(path: str, file: TowerFile, activation: str) -> None:
    if file.activation != activation:
        raise ConfigError(
            f'{path}: was trained with {file.activation}, and a tower with activation={activation!r} would compute '
            f"other features; set activation={file.activation!r} in the tower's config."
        )


def _check_settings(path: str, file: TowerFile, settings: dict) -> None:
    for name in _STRICT_SETTINGS:
        if name in file.settings and _plain(file.settings[name]) != _plain(settings[name]):
            raise CheckpointError(
                f'{path}: is a tower with {name}={file.settings[name]}, the config says '
                f'{name}={settings[name]}.'
            )


def _plain(value):
    """Compare as JSON does: tuples are lists."""
    return json.loads(json.dumps(value))
