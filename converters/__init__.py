"""BCD's first floor: films in, result objects out. Knows DICOM and MIAS, no torch and no queue."""
