"""A model in the browser, on this machine only: `session` does the work, `app` speaks HTTP, `static` is the page."""
