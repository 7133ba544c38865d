"""The panel, in parts: each part has its widgets of the ``.ui`` file and nothing of the others'."""
