"""Which trials stop, pause or go on: promotion at rungs, and pruners."""
