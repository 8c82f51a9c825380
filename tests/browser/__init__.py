"""The real server and a real browser: Debian's Chromium without a window, driven by playwright."""
