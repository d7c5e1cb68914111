"""Films and animated pictures through a look, frame by frame: time, loop, opacity and sound kept, flicker measured."""
