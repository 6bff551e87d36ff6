"""The engine: the only impure part of a run. The database is the truth; the queue carries ids."""
