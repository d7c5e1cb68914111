"""A model as a page: a folder of static files that runs in any browser, with no server and no network."""
