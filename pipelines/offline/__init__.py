"""Scripts that are given away with what they check: standard library and ``cryptography`` only."""
