"""What the app draws, for notebooks: the tables and arrays behind its charts."""
