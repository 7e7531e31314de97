"""The processes of one command, on one machine or several, and the parts that they divide their work into."""
