"""The entries of the catalogue. A new data set is one more in one of these modules."""

from __future__ import annotations

from hpo.data.catalogue.entries.images import IMAGES
from hpo.data.catalogue.entries.sequences import SEQUENCES
from hpo.data.catalogue.entries.shipped import SHIPPED
from hpo.data.catalogue.entries.tables import TABLES
from hpo.data.catalogue.entry import CatalogueEntry

CATALOGUE: dict[str, CatalogueEntry] = {**SHIPPED, **IMAGES, **TABLES, **SEQUENCES}
"""By name, in the order of `hpo data list`."""
