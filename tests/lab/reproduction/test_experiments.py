"""The shipped tables: their configs exist, differ where they should, and name the paper's rows."""

import pytest

from dscreid.apis.config_check import check_run, check_values
from dscreid.engine.schedule import check_stages
from dscreid.errors import ConfigError
from dscreid.lab.reproduction import EXPERIMENTS, PRESETS, choose_rows, find_experiment, find_preset
from dscreid.lab.reproduction.experiments import NOT_REPRODUCIBLE
from dscreid.lab.reproduction.planning import make_plan
from dscreid.lab.reproduction.presets import Place
from dscreid.lab.reproduction.summary import summarize
from dscreid.lab.synthetic import DIRECTIONS, adaptation_worlds, make_spec
from dscreid.utils.shipped import is_config
from dscreid.visualization import paper_table

ABLATIONS = ('without_dslu', 'without_dsjl', 'dsjl_inter', 'dsjl_intra', 'dslu_inter', 'dslu_intra')
PLACES = [('synthetic-demo', 'bupt2hitsz'), ('real', 'bupt2hitsz'), ('real', 'hitsz2bupt')]
each_place = pytest.mark.parametrize(('data', 'direction'), PLACES, ids=lambda value: value)


@pytest.fixture(scope='module')
def places(tmp_path_factory):
    out = tmp_path_factory.mktemp('nowhere')
    return {name: Place(out, preset) for name, preset in PRESETS.items()}


@pytest.mark.parametrize('number', range(1, 7))
def test_rows_name_rows_of_the_paper(number):
    table = paper_table(number)
    adabn = {f'{name}, necks of the target (AdaBN)' for name in ('CD', 'baseline')}
    further = {'B+Clu', 'VLD', 'RPNR', 'PCLHD', "HIL's labels"} | adabn
    rows = [row for row in find_experiment(f'table{number}').rows if row.name not in further]
    assert [row.name for row in rows if not row.supervised] == [row.method for row in table.rows if row.unsupervised]
    # those that have a config, in the paper's order
    names = [row.name for row in rows if row.supervised]
    assert names == [row.method for row in table.rows if row.method in names and not row.unsupervised]


def test_figures_without_a_row_are_quoted_in_a_note(places):
    quoted = 'Also in the paper, but not reproducible (no code, no details): SADSTRM (RGB→IR 65.3 Rank-1, 49.5 mAP; '
    quoted += 'IR→RGB 67.7, 51.8), CST (RGB→IR 69.4 Rank-1, 51.2 mAP; IR→RGB 72.6, 53.0).'
    table1, table2 = find_experiment('table1'), find_experiment('table2')
    assert not {row.name for row in (*table1.rows, *table2.rows)} & set(NOT_REPRODUCIBLE)
    for experiment, direction, expected in ((table2, 'bupt2hitsz', True), (table1, 'hitsz2bupt', False)):
        (summary,) = summarize(places['real'], experiment, experiment.rows, [direction], [])
        assert (quoted in summary.notes) is expected


@pytest.mark.parametrize('experiment', ['table3', 'methods', 'beyond'])
def test_all_rows_run_on_the_short_worlds(places, experiment):
    place = places['synthetic-short']
    for row in find_experiment(experiment).rows:
        assert place.row_config(row, 'bupt2hitsz').direction == 'demo_short'


@pytest.mark.parametrize('data', PRESETS)
def test_supervised_rows_train_on_labels_of_the_target(places, data):
    place = places[data]
    rows = {row.method: row for number in (1, 2) for row in find_experiment(f'table{number}').rows if row.supervised}
    assert {'agw', 'auxnet', 'vld'} <= set(rows)
    for row in rows.values():
        for direction in DIRECTIONS:
            config = place.read(place.config_path(row.method, direction))
            train, test = config.train_dataloader.dataset, config.test_dataloader.dataset
            assert config.get('source') is None
            assert (train.type, train.root, train.split) == (test.type, test.root, 'train')
            assert train.get('labelled', True)
            assert config.train_dataloader.sampler.type == 'IdentitySampler'


@each_place
def test_ablations_differ_from_dsc_in_nothing_but_what_they_name(places, data, direction):
    place = places[data]
    prefixes = {'dsl': 'default_hooks.cluster.labelers.', 'dsj': 'model.neighbor_losses'}
    for method in (*ABLATIONS, 'dslu_from_start'):
        config = place.read(place.config_path(method, direction))
        changed = place.difference_to_dsc(config, direction)
        prefix = prefixes[method.removeprefix('without_')[:3]]
        assert changed, method
        assert all(key.startswith(prefix) for key in changed), (method, changed)


def test_a_difference_to_dsc_names_no_folder_of_this_machine(places):
    place = places['synthetic-short']
    config = place.read(place.config_path('adca', 'bupt2hitsz'))
    files = ['configs/source/stp_demo_short.py', 'configs/baselines/bclu_demo_short.py']
    assert place.difference_to_dsc(config, 'bupt2hitsz')['source.config'] == files


@each_place
def test_ablations_are_what_their_names_say(places, data, direction):
    place = places[data]

    def parts(method):
        config = place.read(place.config_path(method, direction))
        return config.default_hooks.cluster.labelers, config.model.neighbor_losses

    labelers, losses = parts('dsc')
    assert labelers[-1].type == 'DSLULabeler'
    assert [set(loss.pairs) for loss in losses] == [{'vv', 'tt'}, {'vt', 'tv'}]
    assert parts('without_dslu') == ([labelers[0]], losses)
    assert parts('without_dsjl') == (labelers, [])
    assert parts('dsjl_inter') == (labelers, [losses[1]])
    assert parts('dsjl_intra') == (labelers, [losses[0]])
    assert parts('dslu_inter') == ([*labelers[:-1], labelers[-1] | {'intra': None}], losses)
    assert parts('dslu_intra') == ([*labelers[:-1], labelers[-1] | {'inter': None}], losses)
    assert parts('dslu_from_start') == ([labelers[-1] | {'begin_epoch': 0}], losses)


def test_settings_of_each_row_are_accepted_by_a_run(places):
    for row in (row for experiment in EXPERIMENTS.values() for row in experiment.rows if row.overrides):
        config = places['synthetic-rule'].row_config(row, 'bupt2hitsz')
        check_values(config, row.name)
        check_run(config, row.name)


def test_labelers_of_each_row_begin_one_after_another(places):
    for row in (*find_experiment('details').rows, *find_experiment('variants').rows):
        labelers = places['synthetic-rule'].row_config(row, 'bupt2hitsz').default_hooks.cluster.labelers
        check_stages([labeler.get('begin_epoch', 0) for labeler in labelers])


@each_place
def test_points_of_sweeps_reach_their_parts(places, data, direction):
    place = places[data]
    for row in (*find_experiment('table6').rows, *find_experiment('figure4').rows):
        config = place.read(place.config_path('dsc', direction), row.overrides)
        dslu, losses = config.default_hooks.cluster.labelers[1], config.model.neighbor_losses
        if row.name.startswith('('):
            weights = dslu.intra.dynamic_weight, dslu.intra.static_weight
            assert str(tuple(f'{value:g}' for value in weights)).replace("'", '') == row.name
        elif row.name.startswith('K'):
            assert dslu.inter.topk == row.x
        else:
            assert [loss.alpha for loss in losses] == [row.x] * 2


def test_the_papers_own_setting_is_the_dsc_run(places):
    names = [places['real'].run_name(row, 'bupt2hitsz') for row in find_experiment('table6').rows]
    assert names[-1] == 'dsc_bupt2hitsz'
    assert len(set(names)) == 6
    figure = {row.name: places['real'].run_name(row, 'bupt2hitsz') for row in find_experiment('figure4').rows}
    assert [name for name, run in figure.items() if run == 'dsc_bupt2hitsz'] == ['alpha 0.9', 'K 20']


def test_all_ablations_of_a_seed_share_their_runs(tmp_path):
    place = Place(tmp_path, find_preset('synthetic-demo'))
    rows = [row for number in (3, 4, 5) for row in find_experiment(f'table{number}').rows]
    plan = make_plan(place, {'bupt2hitsz': rows}, (1,))
    runs = {name.rpartition('/')[2] for name in plan.rows}
    assert runs == {'cd_demo', 'adabn_demo', 'bclu_demo', 'dsc_demo', *(f'{method}_demo' for method in ABLATIONS)}
    assert set(plan.jobs) - plan.rows == {
        f'bupt2hitsz/seed1/{name}' for name in ('stp_demo', 'source world', 'target world')
    }
    folders = [job.folder for job in plan.jobs.values()]
    assert len(folders) == len(set(folders))


@pytest.mark.parametrize('data', PRESETS)
def test_every_row_has_a_config_on_all_data(places, data):
    for experiment in EXPERIMENTS.values():
        for row in experiment.rows:
            for direction in DIRECTIONS:
                assert is_config(places[data].config_path(row.method, direction))


def test_the_family_few_has_numbers_for_few_tracklets_where_they_matter(places):
    place = places['synthetic-few']
    assert place.config_path('dsc', 'bupt2hitsz').name == 'dsc_demo_few.py'
    assert place.config_path('ng', 'bupt2hitsz').name == 'ng_demo_few.py'
    assert place.config_path('vld', 'bupt2hitsz').name == 'vld_demo.py'  # supervised methods have no such numbers
    unify = place.read(place.config_path('without_dsjl', 'bupt2hitsz')).default_hooks.cluster.labelers[1]
    assert (unify.inter, unify.intra.topk) == ({'topk': 5}, 5)


def test_tags_are_unique_within_a_method():
    tagged = {id(row): (row.method, row.tag) for table in EXPERIMENTS.values() for row in table.rows if row.tag}
    assert len(set(tagged.values())) == len(tagged)


@pytest.mark.parametrize(('find', 'name', 'close'), [
    (find_experiment, 'tabel3', 'table3'), (find_preset, 'synthetic-dem', 'synthetic-demo'),
])  # fmt: skip
def test_unknown_names_are_answered_with_the_known_ones(find, name, close):
    with pytest.raises(ConfigError, match=f"did you mean '{close}'") as refusal:
        find(name)
    assert 'known are' in str(refusal.value)


def test_headings_are_the_papers():
    assert find_experiment('table3').heading == 'Table 3: Components of DSC'
    assert find_experiment('figure5').heading.startswith('Figure 5: ')
    assert find_experiment('stages').heading.startswith('stages: ')


def test_rows_are_chosen_by_name_or_method():
    table = find_experiment('table3')
    assert [row.method for row in choose_rows(table, ['DSC', '+ Clustering'])] == ['bclu', 'dsc']
    assert choose_rows(table, ()) == table.rows
    longer = find_experiment('longer')
    assert [row.name for row in choose_rows(longer, ['dsc'])] == ['DSC, ten epochs']
    assert len(choose_rows(longer, ['ten_epochs'])) == 5
    with pytest.raises(ConfigError, match='no row'):
        choose_rows(find_experiment('table6'), ['dsc'])
    with pytest.raises(ConfigError, match="did you mean 'without_dslu'"):
        choose_rows(table, ['without_dsl'])


def test_the_reverse_direction_exchanges_domains_and_keeps_roles():
    forward, backward = (adaptation_worlds(3, direction) for direction in DIRECTIONS)
    assert [world.domain for world in (*forward, *backward)] == ['bupt', 'hitsz', 'hitsz', 'bupt']
    roles = (
        'layout',
        'seed',
        'train_ids',
        'tracklets',
        'test_ids',
        'test_tracklets',
        'max_frames',
        'modality_gap',
    )
    for ahead, back in zip(forward, backward, strict=True):
        assert [getattr(ahead, name) for name in roles] == [getattr(back, name) for name in roles]
    full = adaptation_worlds(3, 'hitsz2bupt', 'full')
    assert [world.layout for world in full] == ['hitsz', 'bupt']
    easy = dict(modality_gap=0.0, occluded=0.1, sensor_spread=0.05, material_spread=0.4)
    assert forward[0] == make_spec('demo', 'bupt', seed=1003, **easy)
    with pytest.raises(ConfigError, match='known are bupt2hitsz, hitsz2bupt'):
        adaptation_worlds(3, 'hitsz2hitsz')
