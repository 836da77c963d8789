"""Figures of the pages: their data with the files and commands behind them, and charts beyond lines (flow, areas, forests)."""
