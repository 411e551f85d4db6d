"""Chains, as Mailman finds them."""
