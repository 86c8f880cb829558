"""One run: its folder, training, measuring."""
