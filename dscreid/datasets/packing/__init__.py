"""Writing a dataset's frames into shards, which the same dataset classes read in place of the image files."""

from dscreid.datasets.packing.packer import pack, verify
from dscreid.datasets.packing.plan import LAYOUTS, PackingPlan, plan_packing

__all__ = ['LAYOUTS', 'PackingPlan', 'pack', 'plan_packing', 'verify']
