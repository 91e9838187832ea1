# Stage 1: CLIP ViT-B/16 with spatio-temporal prompts on the labeled hitsz_vcm.
_base_ = [
    '../_base_/datasets/hitsz_vcm_source.py',
    '../_base_/models/stp_vit_b16.py',
    '../_base_/schedules/source_24e.py',
    '../_base_/default_runtime.py',
]
