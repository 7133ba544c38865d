"""The report on the paper's systems: summary, tables, figures."""
