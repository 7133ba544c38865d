"""What the scan is worth on films with truth: figures by patient, calibration, the worst errors.

``scoring`` scans films with a model and ``runs`` reads the out-of-fold marks of a training run; from
either, ``assess`` makes the figures, and ``report`` the files. Only ``scoring`` needs PyTorch, only
``pictures`` and ``sheets`` need Matplotlib.
"""
