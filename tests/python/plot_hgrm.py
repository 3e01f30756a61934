"""Plots a percentile spectrum with hdr-plot, and prints as JSON what it read from it."""

import json
import sys

import matplotlib

matplotlib.use("Agg")
from hdr_plot import hdr_plot  # noqa: E402

spectrum, picture = sys.argv[1:]
rows = hdr_plot.parse_percentiles(spectrum)
metadata = hdr_plot.parse_metadata(spectrum)
sys.argv = ["hdr-plot", "--output", picture, "--units", "ms", spectrum]
# It says on stdout what it wrote; ours is the JSON.
stdout, sys.stdout = sys.stdout, sys.stderr
hdr_plot.main()
sys.stdout = stdout
median = rows[rows["Percentile"] >= 0.5].iloc[0]
print(
    json.dumps(
        {
            "rows": len(rows),
            "median": float(median["Latency"]),
            "max": float(metadata["Max"]),
            "count": int(metadata["Total count"]),
        }
    )
)
