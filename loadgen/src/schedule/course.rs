//! The rate over the time of one run, and its inverse: when has so much been asked?
//!
//! Work is counted in femto-requests, so that a rate in micro-requests per second for a time in
//! nanoseconds is a whole number of them: where the rate stays, no instant is rounded but down to
//! its nanosecond, however long the run. Where the rate changes evenly, work grows as a parabola,
//! whose inverse is a square root; it is taken in floating point, off by less than a nanosecond for
//! runs of up to a day.

use std::time::Duration;

use super::pace::Pace;

/// One request.
pub(super) const REQUEST: u128 = 1_000_000_000_000_000;

/// A stretch of time, placed.
#[derive(Clone, Copy, Debug)]
struct Segment {
    /// Nanoseconds from the start of the run to its beginning.
    start: u64,
    /// What has been asked before it.
    work: u128,
    /// Nanoseconds it takes; the last one never ends.
    length: u64,
    /// Micro-requests per second at its beginning and its end.
    rates: [u64; 2],
}

impl Segment {
    /// What is asked in its first `nanos`.
    fn work_in(&self, nanos: u64) -> u128 {
        let (nanos, length) = (u128::from(nanos), u128::from(self.length));
        let [from, to] = self.rates.map(u128::from);
        let even = from * nanos;
        // The rate moves by (to - from) / length, so the triangle is half of that times nanos².
        let triangle = |change: u128| (change as f64 * nanos as f64 / length as f64) * nanos as f64;
        if from == to {
            even
        } else if nanos == length {
            (from + to) * length / 2
        } else if to > from {
            even + (triangle(to - from) / 2.0) as u128
        } else {
            even.saturating_sub((triangle(from - to) / 2.0) as u128)
        }
    }

    /// Nanoseconds from its beginning until `work` has been asked in it; `None` is never.
    fn time_of(&self, work: u128) -> Option<u64> {
        let [from, to] = self.rates;
        if from == to {
            let nanos = work.checked_div(u128::from(from))?;
            return u64::try_from(nanos).ok();
        }
        if work == 0 {
            return Some(0);
        }
        let (from, to, work) = (from as f64, to as f64, work as f64);
        let radicand = from * from + 2.0 * (to - from) * work / self.length as f64;
        // This form of the root stays exact when the rates are close or the first is zero.
        let nanos = 2.0 * work / (from + radicand.max(0.0).sqrt());
        Some((nanos as u64).min(self.length))
    }
}

/// The rate over the time of one run.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    /// In the order of time; never empty.
    segments: Vec<Segment>,
}

impl Course {
    /// `pace` from the end of the warm-up on, and its first level before that.
    pub(crate) fn new(pace: &Pace, warmup: Duration, duration: Duration) -> Self {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mut course = Self {
            segments: Vec::new(),
        };
        let level = |phase: &super::pace::Phase| phase.from;
        let first = pace.phases().first().map_or(0, level);
        if !warmup.is_zero() {
            course.append(nanos(warmup), [first; 2]);
        }
        let mut left = nanos(duration);
        for phase in pace.phases() {
            let length = phase.length.map_or(left, nanos);
            left = left.saturating_sub(length);
            course.append(length, [phase.from, phase.to]);
        }
        let last = pace.phases().last().map_or(0, |phase| phase.to);
        course.append(u64::MAX, [last; 2]);
        course
    }

    fn append(&mut self, length: u64, rates: [u64; 2]) {
        let (start, work) = self.segments.last().map_or((0, 0), |last| {
            let work = last.work + last.work_in(last.length);
            (last.start.saturating_add(last.length), work)
        });
        self.segments.push(Segment {
            start,
            work,
            length,
            rates,
        });
    }

    /// When `work` has been asked: nanoseconds from the start; `u64::MAX` is never. Grows with
    /// `work`.
    pub(super) fn time_of(&self, work: u128) -> u64 {
        let after = self
            .segments
            .partition_point(|segment| segment.work <= work);
        let Some(segment) = self.segments[..after].last() else {
            return 0;
        };
        segment
            .time_of(work - segment.work)
            .map_or(u64::MAX, |nanos| segment.start.saturating_add(nanos))
    }

    /// All that is ever asked, if there is an end to it.
    pub(super) fn end(&self) -> u128 {
        let last = self.segments.last().filter(|last| last.rates == [0; 2]);
        last.map_or(u128::MAX, |last| last.work)
    }

    /// What is asked in the first `nanos`.
    fn work_until(&self, nanos: u64) -> u128 {
        let after = self
            .segments
            .partition_point(|segment| segment.start <= nanos);
        let segment = self.segments[..after].last();
        segment.map_or(0, |segment| {
            segment.work + segment.work_in(nanos - segment.start)
        })
    }

    /// Requests per second between two instants, on average.
    pub(crate) fn mean_rate(&self, [from, to]: [Duration; 2]) -> f64 {
        let [work_before, work] = [from, to]
            .map(|time| self.work_until(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)));
        let nanos = to.saturating_sub(from).as_nanos().max(1);
        (work - work_before) as f64 / nanos as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn course(pace: &str, warmup: u32, duration: u32) -> Course {
        let pace = Pace::parse(pace).expect("a pace");
        Course::new(&pace, warmup * SECOND, duration * SECOND)
    }

    /// When request `number` of even spacing is due, in seconds.
    fn due(course: &Course, number: u128) -> f64 {
        course.time_of(number * REQUEST) as f64 / 1e9
    }

    #[test]
    fn steps_follow_each_other_without_a_gap() {
        let steps = course("100:2s,300:1s,0:5s,50:1s", 0, 9);
        // 200 in the first two seconds, 300 in the third, none in the next five, then 50.
        for (number, seconds) in [(0, 0.0), (199, 1.99), (200, 2.0), (203, 2.01), (350, 2.5)] {
            assert_eq!(due(&steps, number), seconds, "{number}");
        }
        assert!((due(&steps, 499) - (2.0 + 299.0 / 300.0)).abs() < 1e-9);
        assert_eq!((due(&steps, 500), due(&steps, 549)), (8.0, 8.98));
        assert_eq!(steps.mean_rate([Duration::ZERO, 9 * SECOND]), 550.0 / 9.0);
    }

    #[test]
    fn a_ramp_is_the_inverse_of_its_parabola() {
        for (pace, from, to) in [
            ("1k..10k", 1e3, 1e4),
            ("10k..1k", 1e4, 1e3),
            ("0..10k", 0.0, 1e4),
        ] {
            let ramp = course(pace, 0, 10);
            for number in [0_u32, 1, 7, 1_000, 20_000, 49_999] {
                let t = due(&ramp, u128::from(number));
                let asked = from * t + (to - from) * t * t / 20.0;
                assert!(
                    (asked - f64::from(number)).abs() < 1e-4,
                    "{pace}: {number} at {t}"
                );
            }
            let total = (from + to) / 2.0 * 10.0;
            assert_eq!(due(&ramp, total as u128), 10.0, "{pace}");
            assert_eq!(ramp.mean_rate([Duration::ZERO, 10 * SECOND]), total / 10.0);
        }
        // Down to nothing, and no more after that.
        let down = course("1k..0", 0, 2);
        assert!(due(&down, 999) < 2.0 && down.time_of(1_000 * REQUEST) == u64::MAX);
    }

    #[test]
    fn a_warm_up_holds_the_first_level() {
        let ramp = course("100..300", 2, 10);
        assert_eq!((due(&ramp, 199), due(&ramp, 200)), (1.99, 2.0));
        assert_eq!(due(&ramp, 200 + 2_000), 12.0);
        assert_eq!(ramp.mean_rate([2 * SECOND, 12 * SECOND]), 200.0);
        assert!((ramp.mean_rate([2 * SECOND, 7 * SECOND]) - 150.0).abs() < 1e-6);
    }

    #[test]
    fn a_last_phase_without_time_goes_on() {
        let steps = course("100:1s,10", 0, 5);
        assert_eq!((due(&steps, 100), due(&steps, 1_100)), (1.0, 101.0));
    }
}
