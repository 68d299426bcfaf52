"""Generator of the bundled worlds: a corpus, a tiny chat model trained on it, and a domain to fine-tune it on."""
