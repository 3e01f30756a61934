//! Properties of every chart: well-formed, self-contained, described, of the promised shape.

use std::fs;
use std::path::Path;

use hdrhistogram::Histogram;

use super::*;
use crate::random::Random;

/// Response times with two humps and, around `stall`, a pause of the target.
fn interval(random: &mut Random, second: usize, stall: bool) -> Histogram<u64> {
    let mut times = Histogram::new(3).expect("three digits");
    for _ in 0..400 {
        let fast = 0.8e6 * (1.0 + 0.2 * (second as f64 / 9.0).sin());
        let spread = (-random.unit().max(1e-9).ln()) * 0.25e6;
        let slow = if random.happens(0.06) { 6e6 } else { 0.0 };
        let stalled = if stall && random.happens(0.5) {
            180e6 * random.unit()
        } else {
            0.0
        };
        times
            .record((fast + spread + slow + stalled) as u64)
            .expect("it resizes");
    }
    times
}

fn caption(title: &str, note: &str) -> Caption {
    Caption {
        title: title.into(),
        note: note.into(),
        description: String::new(),
    }
}

/// One of each, named; all but the last from the same made-up run of a minute.
fn gallery() -> Vec<(&'static str, String)> {
    let mut random = Random::new(7, 0);
    let run: Vec<_> = (0..60)
        .map(|at| interval(&mut random, at, at == 33))
        .collect();
    vec![
        ("percentiles", percentiles(&run).svg()),
        ("heat", heat(&run).svg()),
        ("timeline", timeline(&run).svg()),
        ("intervals", comparison().svg()),
    ]
}

fn percentiles(run: &[Histogram<u64>]) -> PercentileChart {
    let mut total = Histogram::<u64>::new(3).expect("three digits");
    for times in run {
        total.add(times).expect("it resizes");
    }
    let mut corrected = Curve::of("corrected (response time)", &total);
    let points = corrected.points.iter();
    let uncorrected = Curve {
        name: "uncorrected (service time)".into(),
        points: points.clone().map(|&(q, value)| (q, value * 0.6)).collect(),
        ..corrected.clone()
    };
    corrected.band = points
        .map(|&(q, value)| (q, value * 0.85, value * 1.2))
        .collect();
    PercentileChart {
        caption: caption(
            "Response time by percentile",
            "24,000 requests at 400/s, 60 s",
        ),
        measured: "time".into(),
        is_log: true,
        curves: vec![corrected, uncorrected],
    }
}

fn events() -> Vec<Event> {
    let event = |at_seconds, label: &str| Event {
        at_seconds,
        label: label.into(),
    };
    vec![event(20.0, "reload"), event(33.2, "origin stopped 200 ms")]
}

/// A percentile of each second.
fn line(run: &[Histogram<u64>], name: &str, quantile: f64) -> Line {
    let value = |times: &Histogram<u64>| times.value_at_quantile(quantile) as f64;
    let points = (0..)
        .zip(run)
        .map(|(at, times)| (f64::from(at) + 0.5, value(times)));
    Line {
        name: name.into(),
        points: points.collect(),
    }
}

fn heat(run: &[Histogram<u64>]) -> HeatMap {
    let columns = (0..)
        .zip(run)
        .map(|(at, times)| Column::of(f64::from(at), 1.0, times));
    let over = |name: &str, quantile| (name.to_owned(), line(run, name, quantile).points);
    HeatMap {
        caption: caption("Response time over time", "each column is a second"),
        measured: "response time".into(),
        columns: columns.collect(),
        lines: vec![over("p50", 0.5), over("p99", 0.99)],
        events: events(),
    }
}

fn timeline(run: &[Histogram<u64>]) -> TimeChart {
    let answers = |at| (f64::from(at) + 0.5, if at == 33 { 310.0 } else { 400.0 });
    let rate = Line {
        name: "answers".into(),
        points: (0..60).map(answers).collect(),
    };
    let times = [("p50", 0.5), ("p99", 0.99), ("max", 1.0)];
    TimeChart {
        caption: caption("The run, second by second", ""),
        seconds: 60.0,
        panels: vec![
            Panel {
                title: "answers per second".into(),
                unit: Unit::Count,
                is_log: false,
                height: 90.0,
                lines: vec![rate],
            },
            Panel {
                title: "response time".into(),
                unit: Unit::Nanos,
                is_log: true,
                height: 220.0,
                lines: times
                    .map(|(name, quantile)| line(run, name, quantile))
                    .into(),
            },
        ],
        events: events(),
    }
}

fn comparison() -> IntervalChart {
    let row = |name: &str, [low, mean, high]: [f64; 3], series| Row {
        name: name.into(),
        mean,
        low,
        high,
        series,
    };
    IntervalChart {
        caption: caption(
            "CPU time per request",
            "7 rounds, 95 % intervals; dashed: nginx",
        ),
        measured: "microseconds per request".into(),
        unit: Unit::Plain,
        from_zero: true,
        rows: vec![
            row("weft", [12.4, 12.8, 13.2], 0),
            row("weft again", [12.3, 12.9, 13.5], 0),
            row("nginx", [16.2, 16.7, 17.2], 1),
            row("haproxy", [16.9, 17.9, 19.0], 2),
            row("envoy", [46.0, 48.4, 51.0], 3),
        ],
        reference: Some((16.7, "nginx".into())),
    }
}

/// With `PLOT_GALLERY=folder` the charts are also written there, to be looked at.
#[test]
fn every_chart_is_well_formed_and_needs_nothing_else() {
    let folder = std::env::var_os("PLOT_GALLERY");
    for (name, svg) in gallery() {
        if let Some(folder) = &folder {
            let path = Path::new(folder).join(format!("{name}.svg"));
            fs::write(path, &svg).expect("the folder exists");
        }
        balanced(&svg).unwrap_or_else(|error| panic!("{name}: {error}"));
        for foreign in ["<script", "href", "url(", "@import", " id=", "NaN", "inf"] {
            assert!(!svg.contains(foreign), "{name} contains {foreign}");
        }
        let described = svg.contains("<title>") && !svg.contains("<desc></desc>");
        assert!(described && svg.contains("role=\"img\""), "{name}");
        assert!(svg.len() < 200_000, "{name} has {} bytes", svg.len());
    }
}

#[test]
fn the_pictures_have_the_shapes_that_their_figures_ask_for() {
    let pictures = gallery();
    let svg = |name: &str| {
        let picture = pictures.iter().find(|(found, _)| *found == name);
        picture.map(|(_, svg)| svg.as_str()).expect("a picture")
    };
    let count = |name: &str, shape: &str| svg(name).matches(shape).count();
    // Two curves and their samples in the legend, one band, five dots each: 24,000 samples tell
    // four nines.
    assert_eq!(count("percentiles", "<polyline"), 4);
    assert_eq!(count("percentiles", "<polygon"), 1);
    assert_eq!(count("percentiles", "<circle"), 10);
    for label in ["99.99 %", "100 ms", "corrected (response time)", "0 %"] {
        assert!(
            svg("percentiles").contains(&format!(">{label}</text>")),
            "{label}"
        );
    }
    // Every step of heat is one shape, and has a colour in the legend.
    let steps = |shape: &str| count("heat", &format!("<{shape} class=\"heat h"));
    assert_eq!((steps("path"), steps("rect")), (9, 9));
    assert_eq!(count("heat", "class=\"over\""), 2);
    // A minute of seconds in four lines.
    let points = svg("timeline").split("points=\"").skip(1);
    let lengths: Vec<usize> = points
        .map(|line| {
            line.split('"')
                .next()
                .unwrap_or_default()
                .split(' ')
                .count()
        })
        .collect();
    assert_eq!(lengths, [2, 2, 2, 2, 60, 60, 60, 60]);
    assert_eq!(count("timeline", "class=\"event\""), 4);
}

/// Where a dot lies and what its label says must agree with the axis beside it.
#[test]
fn a_dot_lies_where_the_ticks_say() {
    let chart = comparison().svg();
    let number = |text: &str, name: &str| -> f64 {
        let value = text
            .split(&format!("{name}=\""))
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        value
            .and_then(|value| value.parse().ok())
            .expect("a number")
    };
    let tick = |label: &str| {
        let mut ticks = chart
            .lines()
            .filter(|line| line.starts_with("<text class=\"tick\""));
        let line = ticks
            .find(|line| line.contains(&format!(">{label}<")))
            .expect("a tick");
        number(line, " x")
    };
    let (zero, forty) = (tick("0"), tick("40"));
    let dots: Vec<f64> = chart
        .lines()
        .filter(|line| line.starts_with("<circle"))
        .map(|line| (number(line, "cx") - zero) / (forty - zero) * 40.0)
        .collect();
    for (dot, mean) in dots.iter().zip([12.8, 12.9, 16.7, 17.9, 48.4]) {
        assert!((dot - mean).abs() < 0.02, "{dot} is not {mean}");
    }
}

/// Are all tags closed in the order they were opened, and all attributes quoted?
fn balanced(svg: &str) -> Result<(), String> {
    let mut open = Vec::new();
    for part in svg.split('<').skip(1) {
        let (tag, text) = part.split_once('>').ok_or("a tag without an end")?;
        let word = tag.split([' ', '/']).next().unwrap_or_default();
        if let Some(name) = tag.strip_prefix('/') {
            let last = open.pop();
            if last != Some(name) {
                return Err(format!("</{name}> closes {last:?}"));
            }
        } else if !tag.ends_with('/') {
            open.push(word);
        }
        if tag.matches('"').count() % 2 != 0 || (text.contains('>') && word != "style") {
            return Err(format!("<{tag}>{text}"));
        }
    }
    match open.is_empty() {
        true => Ok(()),
        false => Err(format!("never closed: {open:?}")),
    }
}
