"""The real steps of sequences one behind another, so that padding costs nothing, and attention on them."""
