"""Papers by name: what they claim and publish, to set stored runs beside."""

from collections.abc import Mapping

from analysis.papers.control_vae import CONTROL_VAE
from analysis.papers.cr_vae import CR_VAE
from analysis.papers.melis import MELIS
from analysis.papers.menon import MENON
from analysis.papers.paper import Paper

PAPERS: Mapping[str, Paper] = {paper.name: paper for paper in (MELIS, MENON, CR_VAE, CONTROL_VAE)}
