"""The one training loop: a pack of K adapters (or one full model) over one frozen base."""
