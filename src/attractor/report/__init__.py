"""The page a person reads: view, figures and one self-contained HTML file."""
