# Stage 1 of the demo with EfficientNet-Lite0 from ImageNet weights, 400 iterations as with the demo's own tower.
_base_ = ['./stp_demo.py', '../_base_/models/efficientnet.py']

model = _base_.efficientnet
num_frames = 2  # per tracklet, for a CPU
optim_wrapper = dict(
    # the demo's 3e-4 is for a tower that knows rendered people
    optimizer=dict(lr=1e-3),
    # With the demo's factor of 30, one step moves the logits of 1,280 features by about ten: the identity loss grows.
    paramwise_cfg=dict(custom_keys={'_head': dict(lr_mult=1.0)}),
)
