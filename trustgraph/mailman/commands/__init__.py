"""Commands by mail, as Mailman finds them."""
