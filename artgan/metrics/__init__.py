"""Numbers from features, in float64: nothing here knows images or networks."""
