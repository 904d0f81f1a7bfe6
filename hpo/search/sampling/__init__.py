"""Which values trials get: samplers, and drawing for all trials of an ask together."""
