"""Results of finished runs in one JSON file, which can be committed, and shown where nothing was run."""

from pathlib import Path
from typing import Any

from dscreid.apis.test import write_json
from dscreid.errors import CheckpointError, ConfigError
from dscreid.lab.reproduction.jobs import finished_card, is_card
from dscreid.lab.reproduction.presets import Place
from dscreid.utils.records import read_json_object

#: Where the results of this project are, by the name of the data.
FOLDER = Path('docs', 'results')


def collect_results(place: Place, file: Path) -> int:
    """Write the run cards of all finished runs of a place to a file, with those that it already holds.

    A run that is in both is taken from the place. Commands are left out. Returns the number of runs in the file.

    Raises:
        ConfigError: If no run has finished.
    """
    cards = read_results(file) if file.is_file() else {}
    for folder in sorted(place.folder.glob('*/seed*/*')):
        if card := finished_card(folder):
            # the command names folders of this machine; config, overrides and seed say the same
            cards[card['run']] = {key: value for key, value in card.items() if key != 'command'}
    if not cards:
        raise ConfigError(f'no run has finished in {place.folder}; start some with: dscreid reproduce run')
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, {'data': place.preset.name, 'runs': [cards[name] for name in sorted(cards)]})
    return len(cards)


def read_results(file: Path) -> dict[str, dict[str, Any]]:
    """Read the run cards of a file of :func:`collect_results`, by the name of the run.

    Raises:
        CheckpointError: If the file is missing, or is not such a file.
    """
    runs = read_json_object(file, 'file of results', 'name a file that dscreid reproduce collect wrote.').get('runs')
    if not isinstance(runs, list) or not all(is_card(card) and isinstance(card.get('run'), str) for card in runs):
        raise CheckpointError(f'{file} does not hold run cards; name a file that dscreid reproduce collect wrote.')
    return {card['run']: card for card in runs}
