"""From a study file to a registered study: its data and code, its row in the database, its submission."""
