"""Is the next run any better? Faulty runs of FAULT-SFT followed by what each policy prescribes, up to three runs."""
