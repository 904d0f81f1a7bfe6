"""The lengths that a trial's training had, from extension to extension."""

from __future__ import annotations

from hpo.attributes import lengths


def test_what_was_trained_between_two_extensions_has_its_length() -> None:
    pairs = lengths.lengthened((), 4)
    assert lengths.is_open(pairs)
    assert lengths.closed(pairs, 3) == ((3, 4),), "all that an ended trial has"
    assert lengths.lengthened(pairs, 6) == pairs, "nobody went on with it in between"
    once = lengths.closed(pairs, 3)
    assert not lengths.is_open(once)
    assert lengths.closed(once, 5) == once
    former = lengths.closed(lengths.lengthened(once, 9), 7)
    assert former == ((3, 4), (7, 9))
    assert [lengths.length_at(former, epoch, 30) for epoch in range(9)] == [4, 4, 4, 9, 9, 9, 9, 30, 30]


def test_a_trial_that_was_never_extended_has_one_length() -> None:
    assert lengths.closed((), 3) == ()
    assert lengths.length_at((), 2, 4) == 4
