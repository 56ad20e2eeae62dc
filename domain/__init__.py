"""The domain: entities, ports and use cases, with nothing but the standard library."""
