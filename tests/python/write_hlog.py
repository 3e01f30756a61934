"""Writes an interval log with the HdrHistogram writer of PyPI: two intervals of a thousand values."""

import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogWriter

LOWEST, HIGHEST, DIGITS = 1, 24 * 3600 * 1_000_000_000, 3

with open(sys.argv[1], "w", encoding="utf-8") as file:
    log = HistogramLogWriter(file)
    log.output_log_format_version()
    log.output_base_time(1_500_000_000_000)
    log.output_legend()
    for second in range(2):
        histogram = HdrHistogram(LOWEST, HIGHEST, DIGITS)
        for value in range(1, 1001):
            histogram.record_value(value * 1_000 * (second + 1))
        log.output_interval_histogram(histogram, second + 0.5, second + 1.5)
