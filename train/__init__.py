"""Mixing methods as pure functions, and the loop that trains with them."""
