"""The pages that decide: models, reviews, evidence, lineage. Thin: sign-in, access, one selector or service, render."""
