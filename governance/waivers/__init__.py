"""Waivers: an exception to one rule for one exact subject and a time, asked for by one and signed by another."""
