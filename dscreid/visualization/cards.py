"""Cards of a page: a chart with its title, legend and captions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dscreid.visualization.charts import Rule, Series
from dscreid.visualization.tables import Table


class LegendEntry(NamedTuple):
    """One entry of a legend: its text and the CSS classes of its swatch."""

    name: str
    style: str


@dataclass(frozen=True)
class Card:
    """A chart with its title, legend and captions.

    Attributes:
        title: Heading of the card.
        chart: Result of :func:`dscreid.visualization.charts.line_chart`, or '' for a card with only captions.
        legend: Entries of the legend.
        captions: Sentences below the chart.
        values: Values of the chart as a table that can be unfolded, or None.
    """

    title: str
    chart: str = ''
    legend: Sequence[LegendEntry] = ()
    captions: Sequence[str] = ()
    values: Table | None = None


def legend(series: Sequence[Series], rules: Sequence[Rule] = ()) -> list[LegendEntry]:
    """Make the legend entries for lines and rules."""
    return [LegendEntry(entry.name, entry.style) for entry in (*series, *rules)]
