"""The tuner beside a full grid and beside other ways to search it."""
