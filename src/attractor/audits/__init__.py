"""The audit of one model: measuring, evidence, verdict, page."""
