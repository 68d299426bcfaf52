"""From findings to the next recipe: named rules with sources, a resolver, and the guides' own worked examples."""
