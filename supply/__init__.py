"""What the project installs: hashes of the pinned files, and known vulnerabilities of the pinned packages.

Runs before anything is installed, so it needs nothing but the standard library.
"""
