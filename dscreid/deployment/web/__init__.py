"""The page of ``dscreid serve``; importing ``app`` needs the extra "serve"."""
