# DSC plus with infrared tones (ours, not published): chosen on one synthetic world, seed 0
# (docs/synthetic_benchmark.md). It assumes that the target's infrared sensor shows colors by a rule that people share.
_base_ = './dsc_plus.py'

# The tones that the sensor gives to colors are learned from pairs of clusters before each epoch. Visible tracklets are
# trained in their colors and in these tones, and labeled and retrieved by the average of both.
model = dict(
    data_preprocessor=dict(tones=dict(), augmentation=dict(visible_views=('plain', 'infrared_tones'))),
)
