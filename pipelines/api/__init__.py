"""REST: pipelines, runs, data, evidence, the model registry."""
