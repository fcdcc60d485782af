"""Licensing: what the product can do, what tiers and licences allow of it, and the files vendors sign."""
