"""Login of researchers by an OpenID provider."""
