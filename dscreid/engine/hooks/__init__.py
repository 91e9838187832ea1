"""Training and evaluation hooks. Hooks decide when something happens; functions in other modules do the work."""

from dscreid.engine.hooks.bad_frames_hook import BadFramesHook
from dscreid.engine.hooks.clean_probability_hook import CleanProbabilityHook
from dscreid.engine.hooks.cluster_hook import ClusterHook, find_cluster_hook
from dscreid.engine.hooks.durable_checkpoint_hook import DurableCheckpointHook, InitialCheckpointHook
from dscreid.engine.hooks.identity_memory_hook import IdentityMemoryHook
from dscreid.engine.hooks.instance_slot_hook import InstanceSlotHook
from dscreid.engine.hooks.neck_statistics_hook import NeckStatisticsHook
from dscreid.engine.hooks.selected_on_test_hook import SelectedOnTestHook
from dscreid.engine.hooks.selection_hook import SelectionHook
from dscreid.engine.hooks.small_hooks import (
    DeferredRuntimeInfoHook,
    EvaluationProgressHook,
    LossScheduleHook,
    MemoryUpdateHook,
    RandomStateHook,
    SourceWeightsHook,
    SpeedHook,
)
from dscreid.engine.hooks.training_guard_hook import ProcessAgreementHook, TrainingGuardHook

__all__ = [
    'BadFramesHook',
    'CleanProbabilityHook',
    'ClusterHook',
    'DeferredRuntimeInfoHook',
    'DurableCheckpointHook',
    'EvaluationProgressHook',
    'IdentityMemoryHook',
    'InitialCheckpointHook',
    'InstanceSlotHook',
    'LossScheduleHook',
    'MemoryUpdateHook',
    'NeckStatisticsHook',
    'ProcessAgreementHook',
    'RandomStateHook',
    'SelectedOnTestHook',
    'SelectionHook',
    'SourceWeightsHook',
    'SpeedHook',
    'TrainingGuardHook',
    'find_cluster_hook',
]
