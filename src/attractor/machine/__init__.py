"""The machine: files, checkpoints, the Hub, processes."""
