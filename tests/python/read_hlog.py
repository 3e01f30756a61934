"""Reads an interval log with the HdrHistogram reader of PyPI; prints what is in it by tag as JSON."""

import json
import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

LOWEST, HIGHEST, DIGITS = 1, 24 * 3600 * 1_000_000_000, 3
PERCENTILES = (50, 90, 99, 99.9)

totals = {}
reader = HistogramLogReader(sys.argv[1], HdrHistogram(LOWEST, HIGHEST, DIGITS))
while True:
    histogram = reader.get_next_interval_histogram()
    if histogram is None:
        break
    tag = histogram.get_tag() or ""
    intervals, total = totals.get(tag, (0, HdrHistogram(LOWEST, HIGHEST, DIGITS)))
    total.add(histogram)
    totals[tag] = (intervals + 1, total)
if not totals:
    sys.exit("no histogram in the log")
print(
    json.dumps(
        {
            tag: {
                "count": total.get_total_count(),
                "max": total.get_max_value(),
                "intervals": intervals,
                "percentiles": {
                    str(percentile): total.get_value_at_percentile(percentile)
                    for percentile in PERCENTILES
                },
            }
            for tag, (intervals, total) in totals.items()
        }
    )
)
