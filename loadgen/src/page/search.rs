//! The page of a search: the rate that was found, and every step on the way to it.
//!
//! First what was found and why it ends there, then each rate that was tested with the span of
//! every condition's figure over its windows, as a table and, for times, as a picture by rate.

use crate::condition::Condition;
use crate::plot::{IntervalChart, Row, Unit};
use crate::quantity::show_rate;
use crate::search::document::{Document, StepRow};

use super::charts::caption;
use super::markup::{Cell, Markup, Tone, page};
use super::place;
use super::words::{command, count, percent};

/// How a rate is judged.
const METHOD: [&str; 4] = [
    "Every step repeated short runs, windows, until one kind led by so many that the verdict is \
     significant. Each window had new connections, a warm-up and random numbers of its own.",
    "The rate grew until the SLO broke and was then bisected. The rate found was tested once more, \
     and so was the one just above it.",
    "An open loop: each request was due at a fixed instant, whatever the target did. Response times \
     count from there.",
    "A window that broke the SLO while the generator was late says nothing of the target.",
];

/// The page.
pub(super) fn html(search: &Document) -> String {
    let mut markup = Markup::new();
    let slo = search.slo.join(", ");
    let beneath = format!(
        "SLO {slo} · {} connections · {}",
        count(search.connections as f64),
        place::line(&search.environment)
    );
    markup.top("Search for the highest rate", &search.url, &beneath);
    verdict(&mut markup, search);
    tiles(&mut markup, search);
    steps(&mut markup, search);
    markup.section("method", "How it was judged");
    markup.list(&METHOD.map(str::to_owned));
    markup.end_section();
    place::section(&mut markup, &search.environment, None, &asked(search));
    markup.section("again", "How to do it again");
    markup.verbatim(&command(&search.environment.command));
    markup.end_section();
    page(&format!("loadgen search: {}", search.url), &markup.finish())
}

fn verdict(markup: &mut Markup, search: &Document) {
    let [kept, broken] = [search.rate, search.broken_rate].map(|rate| rate.map(show_rate));
    let (tone, sentence) = match (search.exit_code, kept, broken) {
        (0, Some(kept), Some(broken)) => (
            Tone::Good,
            format!("{kept} keeps the SLO, {broken} does not: the knee lies between them."),
        ),
        (0, Some(kept), None) => (
            Tone::Good,
            format!("At least {kept}: the highest rate to try keeps the SLO."),
        ),
        (2, _, Some(broken)) => (
            Tone::Bad,
            format!("The SLO does not hold even at {broken}."),
        ),
        (2, _, None) => (Tone::Bad, "No rate keeps the SLO.".into()),
        (_, Some(kept), _) => (
            Tone::Unsure,
            format!("{kept} kept the SLO; what lies above it is not known."),
        ),
        (_, None, _) => (
            Tone::Unsure,
            "No rate was shown to keep the SLO, and none to break it.".into(),
        ),
    };
    markup.verdict(tone, &search.result, &sentence, &search.reasons);
}

fn tiles(markup: &mut Markup, search: &Document) {
    let rate = |rate: Option<f64>| rate.map_or_else(|| "–".into(), count);
    let windows: usize = search.steps.iter().map(|step| step.windows.len()).sum();
    let tiles = [
        (rate(search.rate), "requests/s keep the SLO"),
        (rate(search.broken_rate), "requests/s break it"),
        (search.steps.len().to_string(), "rates tested"),
        (windows.to_string(), "windows measured"),
    ];
    markup.tiles(&tiles.map(|(value, name)| (value, name.to_owned())));
}

fn steps(markup: &mut Markup, search: &Document) {
    markup.section("steps", "Every step");
    // A condition that this program does not know is shown as a name.
    let conditions: Vec<_> = search
        .slo
        .iter()
        .map(|text| Condition::parse(text))
        .collect();
    let mut titles = vec!["rate/s", "step", "windows", "verdict"];
    titles.extend(search.slo.iter().map(String::as_str));
    let rows = search.steps.iter().map(|step| {
        let mut row = vec![
            Cell::figure(count(step.rate)),
            Cell::name(&*step.purpose),
            Cell::figure(step.windows.len().to_string()),
            Cell::chip(tone(&step.verdict), &*step.verdict),
        ];
        row.extend(conditions.iter().enumerate().map(|(at, condition)| {
            let span = step.span(at);
            let shown = condition.as_ref().map(|known| known.show_span(span));
            Cell::figure(shown.unwrap_or_default())
        }));
        row
    });
    markup.table(&titles, &rows.collect::<Vec<_>>());
    for (at, condition) in conditions.iter().enumerate() {
        if let Ok(condition) = condition
            && let Some(chart) = chart(search, at, condition)
        {
            markup.picture(&chart);
        }
    }
    markup.end_section();
}

fn tone(verdict: &str) -> Tone {
    match verdict {
        "kept" => Tone::Good,
        "broken" => Tone::Bad,
        _ => Tone::Unsure,
    }
}

/// The figure of a condition at every rate, by rate; of times only.
fn chart(search: &Document, at: usize, condition: &Condition) -> Option<String> {
    let bound = condition.time_bound()?;
    let mut steps: Vec<&StepRow> = search.steps.iter().collect();
    steps.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    let rows: Vec<Row> = steps
        .into_iter()
        .filter_map(|step| {
            let (low, high) = step.span(at)?;
            let mut figures: Vec<f64> = step
                .windows
                .iter()
                .filter_map(|window| *window.figures.get(at)?)
                .collect();
            figures.sort_by(f64::total_cmp);
            Some(Row {
                name: show_rate(step.rate),
                mean: *figures.get(figures.len() / 2)?,
                low,
                high,
                series: usize::from(step.verdict != "kept"),
            })
        })
        .collect();
    let chart = IntervalChart {
        caption: caption(
            format!("{condition} at every rate that was tested"),
            "Medians of the windows, with the least and the most; the line is the bound.",
        ),
        measured: "time".into(),
        unit: Unit::Nanos,
        from_zero: true,
        rows,
        reference: Some((bound, "the bound".into())),
    };
    (!chart.rows.is_empty()).then(|| chart.svg())
}

fn asked(search: &Document) -> Vec<(String, String)> {
    let facts = [
        ("arrivals", search.arrivals.clone()),
        ("seed", search.seed.to_string()),
        ("window", format!("{} s", search.window_seconds)),
        (
            "warm-up before each",
            format!("{} s", search.warmup_seconds),
        ),
        ("precision", percent(search.precision)),
        ("confidence", percent(search.confidence)),
    ];
    facts.map(|(name, value)| (name.to_owned(), value)).into()
}
