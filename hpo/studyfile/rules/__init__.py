"""Rules that a study file must keep, and cautions about valid settings that may surprise."""
