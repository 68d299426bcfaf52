"""What a curve says: findings with evidence, honest abstentions, the guides' reading beside them."""
