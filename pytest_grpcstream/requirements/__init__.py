"""The requirements of the suite: the registry, links to the specifications, and the listing."""
