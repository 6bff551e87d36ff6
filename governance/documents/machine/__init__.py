"""Documents for programs: OSCAL, CycloneDX, SPDX, model cards for model hubs. Pure functions of the facts."""
