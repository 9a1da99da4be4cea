"""Papers by name: what they claim and publish, to set stored runs beside."""

from collections.abc import Mapping

from analysis.papers.melis import MELIS
from analysis.papers.menon import MENON
from analysis.papers.paper import Paper

PAPERS: Mapping[str, Paper] = {"melis": MELIS, "menon": MENON}
