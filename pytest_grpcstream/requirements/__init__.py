"""The requirements of the suite: the registry, links to their specifications, and the listing."""
