"""The main workflow on two rendered worlds: render, pre-train, evaluate, adapt, evaluate, report."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dscreid.apis.config import config_hash, load_config
from dscreid.apis.report import ReportOptions, make_report
from dscreid.apis.run_folder import FEATURES_FILE, METRICS_FILE, remove_run_folder
from dscreid.apis.train import RunOptions, run_experiment
from dscreid.engine.checkpoint_files import last_checkpoint
from dscreid.errors import CheckpointError
from dscreid.lab.synthetic import WorldSpec, adaptation_worlds, is_complete, render_world
from dscreid.visualization import ReportRun, load_run, read_scalars

CD_ROW, ADABN_ROW, DSC_ROW = 'CD (source model, no adaptation)', 'AdaBN (CD, necks of the target)', 'DSC'
#: Name of each run in the report.
_ROWS = {
    'source': 'source model on unseen source people',
    'cd': CD_ROW,
    'adabn': ADABN_ROW,
    'bclu': 'B+Clu (clustering only)',
    'dsc': DSC_ROW,
    'true_labels': 'true target labels (bound)',
}

#: Configs of the runs, without the direction.
_CONFIGS = {
    'source': 'source/stp',
    'cd': 'baselines/cd',
    'adabn': 'baselines/adabn',
    'bclu': 'baselines/bclu',
    'dsc': 'dsc/dsc',
    'true_labels': 'synthetic/true_labels',
}


#: Runs that are only tested.
UNTRAINED = 'cd', 'adabn'


@dataclass(frozen=True)
class DemoSize:
    """Preset of worlds, last part of the configs' names, option of ``tools/demo.py``, and a note for users."""

    preset: str
    direction: str
    command: str
    note: str


FULL = DemoSize('rule', 'demo', ' --full', 'The full demo: the setting of docs/synthetic_benchmark.md.')
_SHORT_NOTE = 'The short demo: smaller worlds and fewer iterations than `make demo-full`, whose figures differ.'
SHORT = DemoSize('demo-short', 'demo_short', '', _SHORT_NOTE)


#: Results that every working demo reaches, so far from the measured values that rounding alone causes no miss.
#: Rank-1 of the source model on unseen source people, mean of both directions (measured: at least 0.88).
_SOURCE_RANK1 = 0.6
#: mAP of DSC minus the best mAP without adaptation, mean of both directions (measured: 0.040).
_GAIN = -0.01
#: Labeled share of the tracklets in the last epoch, per modality (measured: at least 0.9).
_LABELED = 0.4
#: Fewest and most clusters per true identity in the last epoch, per modality (measured: 0.7 to 1.4).
_CLUSTERS = 0.25, 3.0


def best_without_adaptation(runs: Sequence[ReportRun]) -> float:
    """Return the highest mean mAP that needs no training on the target: of CD, also as VLD ranks it, and of AdaBN."""
    found = {run.name: run for run in runs}
    without = [found[name] for name in (CD_ROW, ADABN_ROW)]
    candidates = [run.metrics for run in without] + [found[CD_ROW].rankings.get('vld', {})]
    return max(metrics['mean/mAP'] for metrics in candidates if 'mean/mAP' in metrics)


@dataclass(frozen=True)
class Demo:
    """One demo in one folder. Finished parts are reused."""

    out: Path  # folder of worlds, runs and report.html
    configs: Path  # the folder configs
    size: DemoSize = SHORT  # SHORT or FULL
    seed: int = 1  # selects the people and cameras of both worlds, and seeds both trainings
    processes: int | None = None  # number of rendering processes; None uses one per core
    compare: bool = False  # whether to also run clustering only (B+Clu) and the bound with true target labels

    @property
    def worlds(self) -> dict[str, WorldSpec]:
        """The ``'source'`` and the ``'target'`` world."""
        return dict(zip(('source', 'target'), adaptation_worlds(self.seed, preset=self.size.preset), strict=True))

    def run(self) -> list[ReportRun]:
        """Run the unfinished parts, write the report, and return the rows of the results table, CD first."""
        for role, spec in self.worlds.items():
            if not is_complete(root := self.out / 'worlds' / role, spec):
                print(f'\n=== {role} world ===', flush=True)
                render_world(root, spec, self.processes, overwrite=True)
        self._train('source')
        bounds = ('bclu', 'dsc', 'true_labels') if self.compare else ('dsc',)
        runs = [self._train(run) for run in ('cd', 'adabn', *bounds)]
        self.write_report(runs)
        return runs

    def problems(self, runs: list[ReportRun]) -> list[str]:
        """List what falls short of every working demo, one sentence each."""
        metrics = {run.name: run.metrics for run in runs}
        source = self._source_metrics()['mean/Rank-1']
        gain = metrics[DSC_ROW]['mean/mAP'] - best_without_adaptation(runs)
        problems = []
        if source < _SOURCE_RANK1:
            problems.append(f'the source model reaches Rank-1 {source:.3f} on unseen source people')
        if not gain >= _GAIN:  # also true for NaN
            problems.append(
                f'DSC changes mAP by {100 * gain:+.1f} points from the best result without adaptation; it should gain'
            )
        identities = self.worlds['target'].train_ids
        fewest, most = (factor * identities for factor in _CLUSTERS)
        labels = {key: values[-1] for key, (_, values) in read_scalars(*self._logs('dsc')).series.items()}
        for modality in ('rgb', 'ir'):
            clusters, labeled = labels[f'labels/{modality}_clusters'], labels[f'labels/{modality}_labelled']
            if not fewest <= clusters <= most:
                problems.append(f'{modality}: {clusters:.0f} clusters at the end for {identities} identities')
            if labeled < _LABELED:
                problems.append(f'{modality}: only {100 * labeled:.0f} % of tracklets labeled at the end')
        return problems

    def config_path(self, run: str) -> Path:
        """Return the config file of a run, such as ``'dsc'``."""
        return self.configs / f'{_CONFIGS[run]}_{self.size.direction}.py'

    def work_dir(self, run: str) -> Path:
        """Return the folder of a run, emptied if it holds a run of another config, world or source model."""
        folder = self.out / run
        marker = self._root(run) / 'world.json'
        config = load_config(self.config_path(run), {'data_root': str(self._root(run))})
        parts = [config_hash(config), str(self.seed), marker.read_text(encoding='utf-8')]
        if run != 'source':
            parts.append((self.out / 'source' / 'key').read_text(encoding='utf-8'))
        key = hashlib.sha256('\n'.join(parts).encode()).hexdigest()
        key_file = folder / 'key'
        if folder.is_dir() and not (key_file.is_file() and key_file.read_text(encoding='utf-8') == key):
            remove_run_folder(folder, ('key', self.config_path(run).name))
        folder.mkdir(parents=True, exist_ok=True)
        key_file.write_text(key, encoding='utf-8')
        return folder

    def _train(self, run: str) -> ReportRun:
        """Train and evaluate a run, unless both are done. The metrics are written last."""
        folder = self.work_dir(run)
        metrics = folder / METRICS_FILE
        if not metrics.is_file():
            run_options = RunOptions(
                work_dir=folder,
                # those that train nothing have nothing to continue
                resume=run not in UNTRAINED,
                overwrite=run in UNTRAINED,
                seed=self.seed,
                source_checkpoint=None if run == 'source' else self._source_checkpoint(),
                config_options={'data_root': str(self._root(run))},
            )
            print(f'\n=== {run} ===', flush=True)
            run_experiment(self.config_path(run), run_options)
        return load_run(_ROWS[run], metrics, folder / FEATURES_FILE, upper_bound=run == 'true_labels')

    def _source_checkpoint(self) -> Path:
        folder = self.out / 'source'
        if checkpoint := last_checkpoint(folder):
            return checkpoint
        raise CheckpointError(f'{folder}: has no checkpoint; remove it and start the demo again')

    def write_report(self, runs: list[ReportRun]) -> None:
        """Write ``report.html`` about finished runs, and print their results."""
        size, source = self.size, self._source_metrics()
        folders = {row: run for run, row in _ROWS.items()}
        report = ReportOptions(
            out=self.out / 'report.html',
            title='dscreid demo',
            work_dirs=[f'{run.name}={self.out / folders[run.name]}' for run in runs],
            bounds=[run.name for run in runs if run.upper_bound],
            scalars=[f'Source stage={log}' for log in self._logs('source')],
            identities=self.worlds['target'].train_ids,
            note=[
                f'{size.note} Synthetic data: a rendered source world in BUPTCampus layout and a rendered target world '
                f'in HITSZ-VCM layout, no real person. Made by `python tools/demo.py{size.command} --seed '
                f'{self.seed}`.',
                f'The source model reaches Rank-1 {100 * source["mean/Rank-1"]:.1f} % and mAP '
                f'{100 * source["mean/mAP"]:.1f} % on unseen people of the source world (mean of both directions).',
                'Pseudo labels are compared with the true identities only for the curves; training never sees them.',
            ],
        )
        print(f'\n{size.note}\n{make_report(report)}')

    def _source_metrics(self) -> dict[str, float]:
        return json.loads((self.out / 'source' / METRICS_FILE).read_text(encoding='utf-8'))

    def _logs(self, run: str) -> list[Path]:
        return sorted((self.out / run).glob('*/vis_data/scalars.json'))

    def _root(self, run: str) -> Path:
        return self.out / 'worlds' / ('source' if run == 'source' else 'target')
