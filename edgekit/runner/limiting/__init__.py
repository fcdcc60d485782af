"""What holds requests back: breakers, limits of a time, places for what runs at once."""
