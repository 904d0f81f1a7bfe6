"""What one does with a study that has results: list, show, report, compare, export, predict, browse."""
