// Reads an interval log with the HdrHistogram reader of npm; prints what is in it by tag as JSON.
"use strict";

const fs = require("fs");
const { HistogramLogReader, build } = require("hdr-histogram-js");

const PERCENTILES = [50, 90, 99, 99.9];

const totals = new Map();
const reader = new HistogramLogReader(fs.readFileSync(process.argv[2], "utf8"));
for (let read = reader.nextIntervalHistogram(); read; read = reader.nextIntervalHistogram()) {
  // The reader calls an untagged line so.
  const tag = read.tag === "NO TAG" ? "" : read.tag;
  if (!totals.has(tag)) {
    totals.set(tag, { intervals: 0, sum: build({ numberOfSignificantValueDigits: 3 }) });
  }
  const series = totals.get(tag);
  series.sum.add(read);
  series.intervals += 1;
}
if (totals.size === 0) {
  throw new Error("no histogram in the log");
}
const told = {};
for (const [tag, { intervals, sum }] of totals) {
  const percentiles = {};
  for (const percentile of PERCENTILES) {
    percentiles[percentile] = sum.getValueAtPercentile(percentile);
  }
  told[tag] = { count: sum.totalCount, max: sum.maxValue, intervals, percentiles };
}
console.log(JSON.stringify(told));
