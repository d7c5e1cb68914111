"""From pictures to a finished series: style, then color. Every step takes a strength; 0 returns its input, bit for bit."""
