"""Third floor: frameworks, policies, evidence mapping, reviews, decisions, exports."""
