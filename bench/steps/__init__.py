"""Steps for measuring, added to the registry by COUNTERSIGN_STEP_PACKAGES."""
