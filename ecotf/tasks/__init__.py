"""Ways of listening, behind one contract: every task has the same files."""
