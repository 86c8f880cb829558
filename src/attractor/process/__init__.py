"""Forward processes, their likelihood and the one reverse loop."""
