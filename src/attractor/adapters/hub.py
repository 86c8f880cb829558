"""The documented place of `Names` and `read_network`, which live in `hub_layout`."""

from attractor.adapters.hub_layout import Names, read_network

__all__ = ["Names", "read_network"]
