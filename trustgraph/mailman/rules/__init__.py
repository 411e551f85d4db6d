"""Rules, as Mailman finds them."""
