# DSC with the settings of the paper, for any direction.
_base_ = ['../models/dsc_vit_b16.py', '../schedules/adapt_50e.py', '../default_runtime.py']

# k-reciprocal Jaccard distances and DBSCAN, as in every method of this family. The paper says "DBSCAN" without numbers.
# 'auto' sets them from the density of the target's features, for each modality and in every epoch. The family's usual
# numbers, k1=30, k2=6, eps=0.6 and min_samples=4, suit about 30 images per identity.
clustering = dict(k1='auto', k2='auto', eps='auto', min_samples='auto')

# The hooks of a method stand in default_hooks, so that a config that inherits can change them by name.
default_hooks = dict(
    cluster=dict(
        type='ClusterHook',
        labelers=[
            dict(type='ClusterLabeler', begin_epoch=0),
            dict(
                type='DSLULabeler',
                # Not stated in the paper. Early, because on synthetic worlds the first epoch with unified labels always
                # gains more than another epoch of clustering only (docs/synthetic_benchmark.md). Released SDCL code: 30
                begin_epoch=8,
                clustering=dict(type='ClusterLabeler'),
                # K = 20 (Figure 4)
                inter=dict(topk=20),
                # same K in the paper; weights 1 and 1 (Table 6)
                intra=dict(topk=20, static_weight=1.0, dynamic_weight=1.0),
            ),
        ],
    ),
    memory=dict(type='MemoryUpdateHook'),
    # Logs label-free criteria. To evaluate the checkpoint chosen by one: selection=dict(criterion='silhouette')
    selection=dict(type='SelectionHook'),
)
