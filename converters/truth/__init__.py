"""What is known of films: the truth file, and DICOM films with it."""
