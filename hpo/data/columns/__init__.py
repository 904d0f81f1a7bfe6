"""What the columns of a table mean: numbers, categories, texts, dates, or nothing to learn from; and the target."""
