"""Models that leave the study: `source` gets a trial out of the database, `module` writes it as plain PyTorch
(`own` the part that is the user's), `folder` puts the files in place, `predictor` reads them again and predicts.
"""
