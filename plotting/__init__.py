"""Figures of both notebooks: functions take arrays and return a Matplotlib `Figure`."""
