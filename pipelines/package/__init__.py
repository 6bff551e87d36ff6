"""What goes into and comes out of a package of a model: pure, no Django, no network."""
