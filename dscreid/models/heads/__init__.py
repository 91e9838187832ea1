"""Heads that turn features into logits."""

from dscreid.models.heads.identity_head import IdentityHead

__all__ = ['IdentityHead']
