"""Speed and memory of `attractor` against a textbook reference, as ratios measured in one run on
one machine."""
