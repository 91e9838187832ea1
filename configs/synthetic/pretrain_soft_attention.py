# Continues the pre-training of the synthetic encoder with tokens of a fifth of their size. The tokens of its tower are
# large, so the attention of the dynamic half looks at one prompt only, and learns hardly anything
# (docs/synthetic_benchmark.md). The world is that of pretrain_tracklets.py.
#   python tools/model_converters/scale_residuals.py dscreid://synthetic_encoder.safetensors \
#       weights/synthetic_encoder_scaled.safetensors --factor 0.2 --attention 0.36
#   python tools/train.py configs/synthetic/pretrain_soft_attention.py --seed 21
_base_ = './pretrain_tracklets.py'

model = dict(
    backbone=dict(pretrained_prompts=True, tower=dict(pretrained='weights/synthetic_encoder_scaled.safetensors')),
)
optim_wrapper = dict(
    # with the tenfold rate of random weights, the logits would soon be as large as before
    paramwise_cfg=dict(custom_keys={'backbone.attn': dict(lr_mult=2.0), 'prompt_embedding': dict(lr_mult=2.0)}),
)
train_cfg = dict(max_epochs=4)
