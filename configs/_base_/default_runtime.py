# What every run shares: hooks, logs, checkpoints, seed.
default_scope = 'dscreid'

default_hooks = dict(
    runtime_info=dict(type='RuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    logger=dict(type='LoggerHook', interval=20),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # the last two epochs, so that a damaged file never costs the run
    checkpoint=dict(type='DurableCheckpointHook', interval=1, max_keep_ckpts=2),
    # an epoch's random numbers are the same after an interruption
    random_state=dict(type='RandomStateHook'),
    initial_checkpoint=dict(type='InitialCheckpointHook'),
    evaluation_progress=dict(type='EvaluationProgressHook'),
    speed=dict(type='SpeedHook'),
    # ends a run whose losses or weights are not finite before they reach a checkpoint; warns of losses that do nothing.
    # What becomes of an epoch with useless pseudo labels is cluster=dict(on_failure='stop' | 'keep' | 'skip')
    guard=dict(type='TrainingGuardHook'),
    # several processes: ends a run whose processes no longer hold the same model
    processes=dict(type='ProcessAgreementHook'),
    # bad_frames.json, where datasets go on after a frame that cannot be read (on_bad_frame)
    bad_frames=dict(type='BadFramesHook'),
)

env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    # gloo is taken where there is no GPU; timeout=SECONDS limits how long a process waits for another in one operation
    dist_cfg=dict(backend='nccl'),
)

# wandb: vis_backends = [dict(type='WandbVisBackend')], or --cfg-options "vis_backends=[dict(type='WandbVisBackend')]"
vis_backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
visualizer = dict(type='Visualizer')
log_processor = dict(type='LogProcessor', by_epoch=True, window_size=20)
log_level = 'INFO'

# seed 1: the paper's
randomness = dict(seed=1, deterministic=False)
load_from = None
resume = False
