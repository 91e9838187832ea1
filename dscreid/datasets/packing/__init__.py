"""Write a dataset's frames to shards, which the same dataset classes read instead of the image files."""

from dscreid.lazy import lazy_exports

__getattr__, __dir__, __all__ = lazy_exports(
    __name__,
    {
        'packer': ['pack', 'verify'],
        'plan': ['PackingPlan', 'dataset_class', 'plan_packing'],
    },
)
