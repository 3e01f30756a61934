"""Reads a /metrics page with the Prometheus parser of PyPI; prints sums as JSON.

Checks what a scrape would choke on: types and help before samples, no series twice, buckets that
never fall and end in +Inf.
"""

import collections
import json
import math
import sys

from prometheus_client.parser import text_string_to_metric_families

with open(sys.argv[1], encoding="utf-8") as page:
    text = page.read()

sums = collections.defaultdict(lambda: collections.defaultdict(float))
counts = collections.defaultdict(lambda: collections.defaultdict(float))
seen = set()
names = set()
for family in text_string_to_metric_families(text):
    assert family.name not in names, f"family {family.name} twice"
    names.add(family.name)
    assert family.type != "unknown" and family.documentation, f"{family.name} has no type or help"
    buckets = collections.defaultdict(list)
    for sample in family.samples:
        key = (sample.name, tuple(sorted(sample.labels.items())))
        assert key not in seen, f"series {key} twice"
        seen.add(key)
        assert not math.isnan(sample.value), key
        if sample.name.endswith("_bucket"):
            labels = {k: v for k, v in sample.labels.items() if k != "le"}
            bound = float(sample.labels["le"])
            buckets[tuple(sorted(labels.items()))].append((bound, sample.value))
        elif sample.name.endswith("_count"):
            counts[family.name][sample.labels.get("phase", "")] += sample.value
        else:
            label = sample.labels.get("code_class", "")
            sums[sample.name][label] += sample.value
    for labels, found in buckets.items():
        assert found == sorted(found), f"{family.name} {labels}: buckets out of order"
        values = [value for _, value in found]
        assert values == sorted(values), f"{family.name} {labels}: a bucket falls"
        assert math.isinf(found[-1][0]), f"{family.name} {labels}: no +Inf"
print(json.dumps({**sums, "histogram_counts": counts}))
