"""Steps that misbehave on purpose, added as an installation would add its own (COUNTERSIGN_STEP_PACKAGES)."""
