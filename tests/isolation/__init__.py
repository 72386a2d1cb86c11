"""Two people in one house: nothing of the one is ever the other's, through any door."""
