"""Readers of web archives: WARC and WET records, also such as are written against the rules, and the bodies of HTTP answers."""
