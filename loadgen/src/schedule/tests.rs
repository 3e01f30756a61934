//! Schedules as a whole: exact where the law is, within statistics where it is random.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn schedule(arrivals: &str, pace: &str, shard_count: u64) -> Schedule {
    let arrivals = Arrivals::parse(arrivals).expect("a law");
    let pace = Pace::parse(pace).expect("a pace");
    Schedule::paced(
        arrivals,
        &pace,
        [Duration::ZERO, 10 * SECOND],
        7,
        shard_count,
    )
}

fn arrivals(schedule: &Schedule, shard: u64) -> impl Iterator<Item = Arrival> {
    let mut cursor = schedule.cursor(shard);
    std::iter::from_fn(move || cursor.next(schedule))
}

/// Those of all shards that are due before `end`, in the order of their numbers.
fn all(schedule: &Schedule, end: Duration) -> Vec<Arrival> {
    let of = |shard| arrivals(schedule, shard).take_while(|arrival| arrival.due < end);
    let mut all: Vec<Arrival> = (0..schedule.shard_count).flat_map(of).collect();
    all.sort_by_key(|arrival| arrival.number);
    all
}

fn due(schedule: &Schedule, number: u128) -> Duration {
    Duration::from_nanos(schedule.due(number).expect("a law without chance"))
}

#[test]
fn constant_arrivals_are_evenly_spaced_and_do_not_drift() {
    let one = schedule("constant", "1000", 1);
    for number in [0, 1, 2, 999, 1_000_000, 86_400_000] {
        assert_eq!(due(&one, number.into()), Duration::from_millis(number));
    }
    // A rate that does not divide a second: exact to the nanosecond after a day.
    let third = schedule("constant", "3", 1);
    assert_eq!(due(&third, 1), Duration::from_nanos(333_333_333));
    assert_eq!(due(&third, 3 * 86_400), 86_400 * SECOND);
    assert_eq!(
        due(&third, 3 * 86_400 + 2),
        Duration::from_nanos(86_400_666_666_666)
    );
    let slow = schedule("constant", "0.000001", 64);
    assert_eq!(due(&slow, 1), 1_000_000 * SECOND);
    assert_eq!(slow.due(u128::from(u64::MAX) * 64), Some(u64::MAX));
    assert_eq!(
        due(&schedule("constant", "10M", 2), 1),
        Duration::from_nanos(100)
    );
}

#[test]
fn shards_together_send_the_sequence_of_one() {
    for law in ["constant", "burst:7", "poisson"] {
        for pace in ["12345.678", "100..3000", "1k:2s,0:1s,500:2s"] {
            let one = all(&schedule(law, pace, 1), 5 * SECOND);
            for shards in [2, 3, 16] {
                let parts = all(&schedule(law, pace, shards), 5 * SECOND);
                assert!(parts == one, "{law} {pace} {shards}");
            }
            let numbers = one.iter().map(|arrival| arrival.number);
            assert!(numbers.eq(0..one.len() as u64), "{law} {pace}");
            assert!(one.is_sorted_by_key(|arrival| arrival.due), "{law} {pace}");
        }
    }
}

#[test]
fn what_is_counted_is_what_is_sent() {
    for law in ["constant", "burst:7", "poisson"] {
        for pace in [
            "1234.5",
            "100..3000",
            "3000..0",
            "0:1s,1k:1s,0:1s,500:2s",
            "10:1s,0",
        ] {
            let schedule = schedule(law, pace, 3);
            let sent = all(&schedule, 5 * SECOND);
            for [from, to] in [[0, 5_000], [0, 1], [999, 1_001], [2_000, 4_321], [3, 3]] {
                let [from, to] = [from, to].map(Duration::from_millis);
                let within = sent
                    .iter()
                    .filter(|arrival| (from..to).contains(&arrival.due));
                let counted = schedule.count(from, to);
                assert_eq!(
                    counted,
                    within.count() as u64,
                    "{law} {pace} {from:?} {to:?}"
                );
            }
        }
    }
    let hundred = schedule("constant", "100", 4);
    assert_eq!(hundred.count(Duration::ZERO, SECOND), 100);
    assert_eq!(hundred.count(SECOND, 3 * SECOND), 200);
    assert_eq!(
        schedule("constant", "2.5", 1).count(Duration::ZERO, SECOND),
        3
    );
}

#[test]
fn bursts_come_at_once_and_keep_the_rate() {
    let bursts = all(&schedule("burst:50", "1000", 2), SECOND);
    assert_eq!(bursts.len(), 1_000);
    for (place, burst) in bursts.chunks(50).enumerate() {
        let due = Duration::from_millis(50 * place as u64);
        assert!(burst.iter().all(|arrival| arrival.due == due));
    }
}

#[test]
fn poisson_is_repeatable_by_its_seed() {
    let pace = Pace::parse("1000").expect("a pace");
    let window = [Duration::ZERO, SECOND];
    let of = |seed| {
        let schedule = Schedule::paced(Arrivals::Poisson, &pace, window, seed, 2);
        all(&schedule, SECOND)
    };
    assert!(of(1) == of(1) && of(1) != of(2));
}

/// Requests in each of `windows` windows of ten milliseconds.
fn counts(arrivals: impl Iterator<Item = Arrival>, windows: usize) -> Vec<f64> {
    let mut counts = vec![0.0; windows];
    for arrival in arrivals {
        match counts.get_mut((arrival.due.as_millis() / 10) as usize) {
            Some(count) => *count += 1.0,
            None => break,
        }
    }
    counts
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn covariance(one: &[f64], other: &[f64]) -> f64 {
    let (a, b) = (mean(one), mean(other));
    let products: Vec<f64> = one
        .iter()
        .zip(other)
        .map(|(x, y)| (x - a) * (y - b))
        .collect();
    mean(&products)
}

/// 20,000 windows: the mean of a count of 10 is known to 0.022 (one standard deviation), the
/// variance to 1 %, a correlation to 0.007. The bounds are five of each; the seed is fixed.
#[test]
fn poisson_counts_have_the_variance_of_their_mean() {
    const WINDOWS: usize = 20_000;
    let whole = schedule("poisson", "1000", 1);
    let union = counts(arrivals(&whole, 0), WINDOWS);
    assert!((mean(&union) - 10.0).abs() < 0.11, "{}", mean(&union));
    let dispersion = covariance(&union, &union) / mean(&union);
    assert!((dispersion - 1.0).abs() < 0.05, "{dispersion}");
    // What came in one window says nothing of the next.
    let next = covariance(&union[1..], &union[..WINDOWS - 1]) / covariance(&union, &union);
    assert!(next.abs() < 0.035, "{next}");

    let four = schedule("poisson", "1000", 4);
    let parts: Vec<_> = (0..4)
        .map(|shard| counts(arrivals(&four, shard), WINDOWS))
        .collect();
    for (place, part) in parts.iter().enumerate() {
        let dispersion = covariance(part, part) / mean(part);
        assert!(
            (mean(part) - 2.5).abs() < 0.056,
            "shard {place}: {}",
            mean(part)
        );
        assert!(
            (dispersion - 1.0).abs() < 0.05,
            "shard {place}: {dispersion}"
        );
        for other in &parts[..place] {
            let spread = covariance(part, part).sqrt() * covariance(other, other).sqrt();
            let correlation = covariance(part, other) / spread;
            assert!(correlation.abs() < 0.035, "shard {place}: {correlation}");
        }
    }
}

/// Kolmogorov and Smirnov: the largest distance between the gaps' distribution and the exponential
/// one exceeds 1.95 / sqrt(n) once in a thousand seeds.
#[test]
fn poisson_gaps_are_exponential_along_any_course() {
    for (pace, shards) in [("1000", 1), ("1000", 3), ("200..5000", 1)] {
        let pace_given = Pace::parse(pace).expect("a pace");
        let course = Course::new(&pace_given, Duration::ZERO, 10 * SECOND);
        let schedule = schedule("poisson", pace, shards);
        let dues = arrivals(&schedule, 0).map(|arrival| arrival.due);
        // Along the course, so that a rate that changes is taken out again.
        let asked: Vec<f64> = dues
            .take_while(|due| *due < 10 * SECOND)
            .map(|due| course.mean_rate([Duration::ZERO, due]) * due.as_secs_f64())
            .collect();
        let mut gaps: Vec<f64> = asked
            .windows(2)
            .map(|two| (two[1] - two[0]) / shards as f64)
            .collect();
        gaps.sort_by(f64::total_cmp);
        let count = gaps.len() as f64;
        let distances = gaps.iter().enumerate().map(|(rank, gap)| {
            let expected = 1.0 - (-gap).exp();
            (expected - rank as f64 / count)
                .abs()
                .max((expected - (rank + 1) as f64 / count).abs())
        });
        let distance = distances.fold(0.0, f64::max);
        assert!(
            count > 3_000.0 && distance < 1.95 / count.sqrt(),
            "{pace}: {distance}"
        );
    }
}

#[test]
fn poisson_follows_its_course() {
    let steps = schedule("poisson", "2000:2s,0:1s,500:2s", 2);
    let count = |from: u32, to: u32| steps.count(from * SECOND, to * SECOND) as f64;
    assert!((count(0, 2) - 4_000.0).abs() < 5.0 * 4_000_f64.sqrt());
    assert_eq!(count(2, 3), 0.0);
    assert!((count(3, 5) - 1_000.0).abs() < 5.0 * 1_000_f64.sqrt());
}

#[test]
fn a_course_that_ends_has_no_more_requests() {
    for law in ["constant", "poisson", "burst:3"] {
        let ends = schedule(law, "100:1s,0", 2);
        let mut cursor = ends.cursor(0);
        let sent = std::iter::from_fn(|| cursor.next(&ends)).count();
        assert!(
            (20..80).contains(&sent) && cursor.next(&ends).is_none(),
            "{law}: {sent}"
        );
    }
}

#[test]
fn recorded_times_are_kept() {
    let times = [0, 5, 5, 1_000_000_000, 3_000_000_000];
    let schedule = Schedule::recorded(times.into(), 2.0, 2);
    let sent = all(&schedule, 10 * SECOND);
    let dues = sent.iter().map(|arrival| arrival.due.as_nanos());
    assert!(dues.eq(times.map(u128::from)), "{sent:?}");
    assert_eq!(schedule.last(), Some(3 * SECOND));
    assert_eq!(schedule.count(Duration::ZERO, 3 * SECOND), 4);
    assert_eq!(schedule.mean_rate([Duration::ZERO, 4 * SECOND]), 1.25);
    assert_eq!(schedule.to_string(), "2 times the recorded pace");
}

#[test]
fn a_limit_ends_every_law() {
    for law in ["constant", "poisson", "burst:7"] {
        let limited = schedule(law, "1000", 3).limited(50);
        let sent = all(&limited, 10 * SECOND);
        assert_eq!(
            (sent.len(), limited.count(Duration::ZERO, 10 * SECOND)),
            (50, 50),
            "{law}"
        );
        assert_eq!(
            limited.last(),
            sent.last().map(|arrival| arrival.due),
            "{law}"
        );
    }
    assert_eq!(schedule("constant", "1k:1s,0", 1).last(), None);
}
