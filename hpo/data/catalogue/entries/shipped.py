"""Data sets that scikit-learn contains."""

from __future__ import annotations

from hpo.data.catalogue.entry import Bundled, CatalogueEntry

LICENCE = "as shipped with scikit-learn"

SHIPPED: dict[str, CatalogueEntry] = {
    "digits": CatalogueEntry(
        kind="image",
        task="classification",
        examples=1797,
        shape=(1, 8, 8),
        classes=10,
        summary="handwritten digits, 16 grey levels",
        licence=LICENCE,
        source=Bundled(loader="load_digits", target="digit"),
    ),
    "wine": CatalogueEntry(
        kind="tabular",
        task="classification",
        examples=178,
        shape=(13,),
        classes=3,
        summary="chemical analysis of wines from 3 cultivars",
        licence=LICENCE,
        source=Bundled(loader="load_wine", target="cultivar"),
    ),
    "breast_cancer": CatalogueEntry(
        kind="tabular",
        task="classification",
        examples=569,
        shape=(30,),
        classes=2,
        summary="cell nuclei of breast tumours, malignant or benign",
        licence=LICENCE,
        source=Bundled(loader="load_breast_cancer", target="diagnosis"),
    ),
    "iris": CatalogueEntry(
        kind="tabular",
        task="classification",
        examples=150,
        shape=(4,),
        classes=3,
        summary="sizes of iris flowers of 3 species",
        licence=LICENCE,
        source=Bundled(loader="load_iris", target="species"),
    ),
    "diabetes": CatalogueEntry(
        kind="tabular",
        task="regression",
        examples=442,
        shape=(10,),
        summary="progression of the disease after one year, 25 to 346",
        licence=LICENCE,
        source=Bundled(loader="load_diabetes", target="progression"),
    ),
}
