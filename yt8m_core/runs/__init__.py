"""Run folders of trainings, and tables of several runs."""
