"""The page of `attractor theory`."""
