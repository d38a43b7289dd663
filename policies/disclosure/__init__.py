"""What counts and presence disclose: noise, its price, budgets and cells. Pure."""
