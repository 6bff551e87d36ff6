"""Systems, how risky they are, and what became of it: profiles, questionnaires, tiers, registers, incidents."""
