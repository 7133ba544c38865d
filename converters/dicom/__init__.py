"""DICOM files and their data elements, read within bounds."""
