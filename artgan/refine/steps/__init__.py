"""The steps of a look, one file each: a section of the recipe, and what it does to a picture. `Recipe` has a row for each."""
