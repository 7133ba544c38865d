"""The paper's systems, its way of measuring them, and the same systems measured by patient.

Tan, Sim and Ting, "Breast Cancer Detection Using Convolutional Neural Networks for Mammogram
Imaging System" (2017). Nothing here scans a film and nothing here ships: it says what the printed
figures are worth.
"""
