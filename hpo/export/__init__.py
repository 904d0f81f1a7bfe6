"""Export of trained trials: `source` reads a trial from the database, `module` writes its model as plain PyTorch (and
`custom` a module of the user's own), `folder` writes the files, `reading` reads them again, `predictor` predicts.
"""
