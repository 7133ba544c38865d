"""What the scan is worth on films with truth: figures by patient, calibration, the worst errors.

``scan_cases`` scans films with a model and ``runs`` reads the out-of-fold marks of a training run; from
either, ``evaluate`` makes the figures, and ``report`` the files. Only ``scan_cases`` needs PyTorch, only
``report.curves_png`` and ``report.errors_png`` need Matplotlib.
"""
