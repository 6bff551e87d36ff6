"""The pages of pipelines, runs, artifacts and datasets. Thin: sign-in, access, one selector or service, render."""
