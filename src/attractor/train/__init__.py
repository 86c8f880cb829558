"""Training by the negative evidence lower bound."""
