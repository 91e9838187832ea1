"""The registered labelers, and their base class."""
