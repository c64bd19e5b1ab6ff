"""``status.html``: what the recorder does and hears, as one file for any browser, without a server or a script."""
