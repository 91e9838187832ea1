# DSC of the short demo with EfficientNet-Lite0 from ImageNet weights. Other methods inherit it by this direction, such
# as baselines/bclu_demo_efficientnet.
_base_ = ['./dsc_demo_short.py', '../_base_/models/efficientnet.py']

direction = 'demo_efficientnet'
source = dict(config='../source/efficientnet_demo.py')
model = _source_model = _base_.efficientnet
num_frames = 2  # per tracklet, for a CPU
