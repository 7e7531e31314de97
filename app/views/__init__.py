"""The pages of the app: one folder per page, whose page.py is the script of the page."""
