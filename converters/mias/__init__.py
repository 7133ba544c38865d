"""mini-MIAS: its films and truth, their DICOM form, and phantoms of the same form."""
