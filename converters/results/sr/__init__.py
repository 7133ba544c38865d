"""The structured reports: Mammography CAD SR and Planar and Volumetric Measurement SR."""
