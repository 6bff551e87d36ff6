"""Second floor: specs, engine, steps, datasets, model registry, lineage, monitoring."""
