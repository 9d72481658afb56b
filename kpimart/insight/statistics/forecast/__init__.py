"""Forecasts of what adds up: by month, manager, department and company, chosen by a backtest on what was known."""
