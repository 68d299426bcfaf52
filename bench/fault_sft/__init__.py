"""FAULT-SFT: labelled fine-tuning logs, the programs that make them, and the score of whoever reads them."""
