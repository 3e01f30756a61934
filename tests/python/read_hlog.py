"""Reads an interval log with the HdrHistogram reader of PyPI; prints counts by tag as JSON."""

import json
import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

LOWEST, HIGHEST, DIGITS = 1, 24 * 3600 * 1_000_000_000, 3

totals = {}
reader = HistogramLogReader(sys.argv[1], HdrHistogram(LOWEST, HIGHEST, DIGITS))
while True:
    histogram = reader.get_next_interval_histogram()
    if histogram is None:
        break
    tag = histogram.get_tag() or ""
    series = totals.setdefault(tag, {"count": 0, "max": 0, "intervals": 0})
    series["count"] += histogram.get_total_count()
    series["max"] = max(series["max"], histogram.get_max_value())
    series["intervals"] += 1
if not totals:
    sys.exit("no histogram in the log")
print(json.dumps(totals))
