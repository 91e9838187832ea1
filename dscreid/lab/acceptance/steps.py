"""The steps of the acceptance on a GPU, and their time limits."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One step: a module with a function ``measure(settings)`` that yields results, dictionaries, as it finds them."""

    name: str
    title: str
    seconds: float  #: time limit on a GPU
    package: str = __package__  #: of the module, which has the step's name

    @property
    def module(self) -> str:
        """Full name of the module."""
        return f'{self.package}.{self.name}'


#: In the order of their worth, because the time on a GPU may end early. The limits sum up to eight minutes.
STEPS = (
    Step('machine', 'Machine and packages', 20),
    Step('numerics', 'One iteration of each method: processor, GPU, bfloat16', 70),
    Step('iteration', 'The iteration of the paper', 125),
    Step('extraction', 'Extraction of tracklets', 40),
    Step('labels', 'Pseudo labels', 55),
    Step('ranking', 'Evaluation', 20),
    Step('determinism', 'One seed, one result', 60),
    Step('processes', 'Several processes', 35),
    Step('demo', 'The demo', 50),
    Step('forecast', 'Forecast of a whole run', 5),
)
