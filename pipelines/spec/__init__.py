"""Pipeline specifications: parsed safely, checked against the steps that exist, canonicalised, compared, bound."""
