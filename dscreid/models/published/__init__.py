"""Published checkpoints of other projects."""

from dscreid.models.published.conversion import LAYOUTS, convert_weights, recognize
from dscreid.models.published.layout import Converted, Layout

__all__ = ['LAYOUTS', 'Converted', 'Layout', 'convert_weights', 'recognize']
