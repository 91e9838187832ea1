"""Steps that end in every way."""
