# Settings that all runs share: hooks, logging, checkpoints and random seed.
default_scope = 'dscreid'

# The hooks of a method stand here too, not in custom_hooks: a config that inherits can change one of them by its name.
default_hooks = dict(
    runtime_info=dict(type='DeferredRuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    logger=dict(type='LoggerHook', interval=20),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # keeps the last two epochs, so that one damaged file does not lose the run
    checkpoint=dict(type='DurableCheckpointHook', interval=1, max_keep_ckpts=2),
    # a resumed run draws the same random numbers as an uninterrupted one
    random_state=dict(type='RandomStateHook'),
    initial_checkpoint=dict(type='InitialCheckpointHook'),
    evaluation_progress=dict(type='EvaluationProgressHook'),
    speed=dict(type='SpeedHook'),
    # Stops the run if losses or weights are not finite, before they reach a checkpoint. Warns if a loss has no effect.
    # For epochs with useless pseudo labels, set cluster=dict(on_failure='stop' | 'keep' | 'skip').
    guard=dict(type='TrainingGuardHook'),
    # with several processes: stops the run if they no longer hold the same model
    processes=dict(type='ProcessAgreementHook'),
    # writes bad_frames.json if datasets may continue after a frame that cannot be read (on_bad_frame)
    bad_frames=dict(type='BadFramesHook'),
)

env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    # gloo is used if there is no GPU; timeout=SECONDS limits how long a process waits for another in one operation
    dist_cfg=dict(backend='nccl'),
)

# For wandb: vis_backends = [dict(type='WandbVisBackend')], or on the command line
# --cfg-options "vis_backends=[dict(type='WandbVisBackend')]"
vis_backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
visualizer = dict(type='Visualizer')
log_processor = dict(type='LogProcessor', by_epoch=True, window_size=20)
log_level = 'INFO'

# seed 1 as in the paper
randomness = dict(seed=1, deterministic=False)
load_from = None
resume = False
