//! What a recorder counts, and that nothing is lost on its way to the ledger.

use super::tally::Tally;
use super::*;
use crate::io::Instant;

const WEB: ListenerId = ListenerId(1);

fn counts() -> SeriesCounts {
    SeriesCounts {
        listeners: 2,
        routes: 3,
        clusters: 2,
        policies: 1,
        limits: 1,
    }
}

fn at(micros: u64) -> Instant {
    Instant::from_nanos(5_000_000_000 + micros * 1_000)
}

/// An exchange that took `total` microseconds, of which the upstream took all but 100.
pub(super) fn forwarded(total: u64) -> Outcome {
    let mut outcome = Outcome::new(WEB);
    outcome.route = Some(RouteId(2));
    outcome.cluster = Some(ClusterId(0));
    outcome.status = 200;
    outcome.attempts = 1;
    outcome.received_bytes = 100;
    outcome.sent_bytes = 1_000;
    outcome.times.head_received = at(0);
    outcome.times.endpoint_chosen = at(20);
    outcome.times.connected(at(30), false);
    outcome.times.request_sent = at(60);
    outcome.times.first_byte = at(total - 40);
    outcome.times.last_byte = at(total);
    outcome
}

fn record(recorder: &mut Recorder, outcome: &Outcome) {
    recorder.exchange_started(outcome.listener);
    recorder.record(outcome);
}

#[test]
fn an_exchange_is_counted_on_its_listener_route_and_cluster() {
    let mut recorder = Recorder::new(0, counts());
    record(&mut recorder, &forwarded(1_000));
    let taken = recorder.take(Box::default());
    let book = &taken.book;
    for counters in [
        &book.listeners[1].counters,
        &book.routes[2].counters,
        &book.clusters[0].counters,
    ] {
        assert_eq!(counters.requests(CodeClass::Success), 1);
        assert_eq!(counters.requests_all(), 1);
        assert_eq!((counters.received_bytes, counters.sent_bytes), (100, 1_000));
    }
    assert_eq!(book.listeners[0].counters.requests_all(), 0);
    assert!(book.listeners[0].histograms.is_none());
    let added = |histograms: &Option<PhaseHistograms<Tally>>| {
        let tally = histograms.as_ref().unwrap().phase(Phase::Added).unwrap();
        let mut values = 0;
        tally.each(|_, count| values += count);
        (values, tally.sum_nanos())
    };
    assert_eq!(added(&book.listeners[1].histograms), (1, 100_000));
    assert_eq!(added(&book.routes[2].histograms), (1, 100_000));
    assert_eq!(added(&book.clusters[0].histograms), (1, 100_000));
}

#[test]
fn a_failure_is_counted_by_flag_and_by_name() {
    let mut recorder = Recorder::new(0, counts());
    let mut outcome = forwarded(1_000);
    outcome.status = 503;
    outcome.attempts = 2;
    outcome.failure = Some(UpstreamFailure::ConnectRefused.into());
    outcome
        .extra_flags
        .insert(ResponseFlag::UpstreamRetryLimitExceeded);
    record(&mut recorder, &outcome);
    let taken = recorder.take(Box::default());
    let listener = &taken.book.listeners[1];
    assert_eq!(listener.failures(UpstreamFailure::ConnectRefused.into()), 1);
    assert_eq!(listener.failures(UpstreamFailure::ConnectTimeout.into()), 0);
    let cluster = &taken.book.clusters[0].counters;
    assert_eq!(cluster.flags(ResponseFlag::UpstreamConnectionFailure), 1);
    assert_eq!(cluster.flags(ResponseFlag::UpstreamRetryLimitExceeded), 1);
    assert_eq!(cluster.requests(CodeClass::ServerError), 1);
    assert_eq!(cluster.retries, 1);
}

#[test]
fn a_tunnels_length_is_no_latency() {
    let mut recorder = Recorder::new(0, counts());
    let mut outcome = forwarded(900_000_000);
    outcome.status = 101;
    outcome.is_tunnel = true;
    record(&mut recorder, &outcome);
    let taken = recorder.take(Box::default());
    let series = &taken.book.listeners[1];
    assert_eq!(series.counters.requests(CodeClass::Informational), 1);
    let histograms = series.histograms.as_ref().unwrap();
    assert!(histograms.phase(Phase::Total).unwrap().is_empty());
    assert!(!histograms.phase(Phase::FirstByte).unwrap().is_empty());
}

#[test]
fn ids_outside_the_configuration_are_not_counted() {
    let mut recorder = Recorder::new(0, counts());
    let mut outcome = forwarded(1_000);
    outcome.listener = ListenerId(9);
    outcome.route = Some(RouteId(9));
    outcome.cluster = Some(ClusterId(9));
    record(&mut recorder, &outcome);
    let taken = recorder.take(Box::default());
    assert!(
        taken
            .book
            .listeners
            .iter()
            .all(|each| each.counters.requests_all() == 0)
    );
}

#[test]
fn connections_in_progress_survive_a_take() {
    let mut recorder = Recorder::new(3, counts());
    for _ in 0..3 {
        recorder.connection_accepted(WEB);
    }
    recorder.connection_refused(WEB, Refusal::ProcessLimit);
    recorder.connection_opened(WEB);
    recorder.connection_opened(WEB);
    recorder.exchange_started(WEB);
    let first = recorder.take(Box::default());
    assert_eq!(first.shard, 3);
    assert_eq!(first.gauges[1].connections_active, 2);
    assert_eq!(first.gauges[1].requests_active, 1);
    recorder.record(&Outcome::new(WEB));
    recorder.connection_closed(WEB, CloseReason::IdleTimeout, 17);
    let second = recorder.take(Box::default());
    assert_eq!(second.gauges[1].connections_active, 1);
    assert_eq!(second.gauges[1].requests_active, 0);
    let [first, second] = [first, second].map(|taken| taken.book.listeners[1].connections.clone());
    assert_eq!((first.accepted, second.accepted), (3, 0));
    assert_eq!(first.refused(Refusal::ProcessLimit), 1);
    assert_eq!(second.closed(CloseReason::IdleTimeout), 1);
    assert_eq!(second.requests_when_closed, 17);
    assert_eq!(recorder.connections_active(), 1);
}

#[test]
fn nothing_is_lost_or_doubled_when_records_are_taken_in_turn() {
    let names = names();
    let mut ledger = Ledger::new(names);
    let mut recorders = [0, 1].map(|shard| Recorder::new(shard, counts()));
    let mut spares = [Some(Box::default()), Some(Box::default())];
    let mut recorded = 0u64;
    for round in 0..50 {
        for (recorder, spare) in recorders.iter_mut().zip(&mut spares) {
            for step in 0..(round * 7) % 40 {
                record(recorder, &forwarded(200 + step * 100));
                recorder.pool(ClusterId(0), PoolEvent::Reused);
                recorder.access_log(1, 0);
                recorded += 1;
            }
            let mut taken = recorder.take(spare.take().unwrap());
            ledger.absorb(&mut taken);
            *spare = Some(taken);
        }
    }
    let total = ledger.total();
    assert_eq!(total.listeners[1].counters.requests_all(), recorded);
    assert_eq!(total.clusters[0].pool(PoolEvent::Reused), recorded);
    assert_eq!(total.access_log_written, recorded);
    let histograms = total.routes[2].histograms.as_ref().unwrap();
    for (_, values) in histograms.iter() {
        assert_eq!(values.histogram().len(), recorded);
    }
    assert_eq!(
        ledger
            .shards()
            .iter()
            .map(|shard| shard.requests)
            .sum::<u64>(),
        recorded
    );
}

#[test]
fn an_interval_ends_and_the_total_goes_on() {
    let mut ledger = Ledger::new(names());
    let mut recorder = Recorder::new(0, counts());
    record(&mut recorder, &forwarded(500));
    ledger.absorb(&mut recorder.take(Box::default()));
    ledger.end_interval();
    record(&mut recorder, &forwarded(700));
    record(&mut recorder, &forwarded(700));
    ledger.absorb(&mut recorder.take(Box::default()));
    let requests = |book: &Book| book.routes[2].counters.requests_all();
    assert_eq!(requests(ledger.total()), 3);
    assert_eq!(requests(ledger.interval()), 2);
    let interval = ledger.interval().routes[2].histograms.as_ref().unwrap();
    assert_eq!(interval.phase(Phase::Total).unwrap().histogram().len(), 2);
}

#[test]
fn decisions_of_policies_are_counted_and_told_by_name() {
    let mut recorder = Recorder::new(0, counts());
    let decisions = [Decision::Allow, Decision::WouldDeny, Decision::WouldDeny];
    for decision in decisions {
        recorder.decided(PolicyId(0), decision);
    }
    // A number that no policy has changes nothing.
    recorder.decided(PolicyId(1), Decision::Deny);
    recorder.limited(LimitId(0), Decision::Deny);
    let mut ledger = Ledger::new(names());
    ledger.absorb(&mut recorder.take(Box::default()));
    let mut text = String::new();
    expose::prometheus::write(&mut text, &ledger);
    let prefix = "weft_authorization_decisions_total{listener=\"web\",level=\"listener\",\
        policy=\"readers\",decision=";
    let samples = text.lines().filter_map(|line| line.strip_prefix(prefix));
    let samples: Vec<&str> = samples.collect();
    assert_eq!(samples, ["\"allow\"} 1", "\"would_deny\"} 2"]);
    let limited = "weft_rate_limit_decisions_total{listener=\"web\",level=\"listener\",\
        limit=\"each\",decision=\"deny\"} 1\n";
    assert!(text.contains(limited), "{text}");
}

#[test]
fn a_spare_that_comes_back_keeps_its_memory() {
    let mut ledger = Ledger::new(names());
    let mut recorder = Recorder::new(0, counts());
    record(&mut recorder, &forwarded(500));
    let mut first = recorder.take(Box::default());
    ledger.absorb(&mut first);
    assert!(
        first.book.listeners[1].histograms.is_some(),
        "memory is kept"
    );
    assert_eq!(first.book.listeners[1].counters, Counters::default());
    assert!(
        first.book.listeners[1]
            .histograms
            .as_ref()
            .unwrap()
            .iter()
            .all(|(_, h)| h.is_empty())
    );
    recorder.take(first);
    record(&mut recorder, &forwarded(500));
    ledger.absorb(&mut recorder.take(Box::default()));
    assert_eq!(ledger.total().listeners[1].counters.requests_all(), 2);
}

#[test]
fn histograms_are_bounded_and_the_rest_is_counted() {
    let routes = crate::limits::HISTOGRAM_SERIES_MAX + 2;
    let counts = SeriesCounts {
        listeners: 1,
        routes,
        clusters: 0,
        policies: 0,
        limits: 0,
    };
    let mut recorder = Recorder::new(0, counts);
    for id in 0..routes as u32 {
        let mut outcome = forwarded(300);
        outcome.listener = ListenerId(0);
        outcome.cluster = None;
        outcome.route = Some(RouteId(id));
        record(&mut recorder, &outcome);
    }
    let book = recorder.take(Box::default()).book;
    let with = book
        .routes
        .iter()
        .filter(|series| series.histograms.is_some())
        .count();
    assert_eq!(with, crate::limits::HISTOGRAM_SERIES_MAX);
    assert_eq!(book.without_histogram, 2);
    assert!(
        book.routes
            .iter()
            .all(|series| series.counters.requests_all() == 1)
    );
}

#[test]
fn a_record_may_leave_its_shard() {
    fn is_send<T: Send + 'static>() {}
    is_send::<Box<ShardRecord>>();
    is_send::<crate::balance::ClusterReport>();
}

pub(super) fn names() -> SeriesNames {
    let route = |listener: &str, route: &str| RouteLabel {
        listener: listener.into(),
        route: route.into(),
    };
    let mut names = SeriesNames::new(
        vec!["admin".into(), "web".into()],
        vec![
            route("admin", "all"),
            route("web", "all"),
            route("web", "a,b \"c\"\\"),
        ],
        vec!["service".into(), "other".into()],
    );
    let label = |policy: &str| PolicyLabel {
        listener: "web".into(),
        level: "listener".into(),
        policy: policy.into(),
    };
    names.policies.number(&label("readers"));
    names.limits.number(&label("each"));
    names
}
