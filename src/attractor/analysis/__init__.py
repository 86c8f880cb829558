"""Statistics and the location of the transition; no torch here."""
