"""genovault: a privacy-preserving genetic data vault. The public door is exported here."""
