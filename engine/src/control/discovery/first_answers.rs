//! Waiting for what the sources say first, so that the first request finds somebody.
//!
//! In: the clusters of a configuration that is about to take effect. Out: which of their sources
//! have not answered, as soon as all others have, at the latest when the time is over that their
//! clusters allow. A source that fails has not answered: it may be starting along with us. One that
//! has had its time is not waited for again: a name that is wrong delays one reload, not all.

use tokio::time::{Instant, timeout_at};

use super::directory::{Directory, Source, wanted};
use crate::config::{Cluster, Config};
use crate::limits::SILENT_SOURCES_TOLD;

impl Directory {
    /// Waits until every source of `clusters` has answered, each as long as its cluster allows.
    /// Gives those that have not.
    pub async fn first_answers(&self, clusters: &[Cluster]) -> Vec<Source> {
        let begin = Instant::now();
        let patient = clusters.iter().filter_map(|cluster| {
            let until = begin + cluster.discovery.initial_fetch_timeout?;
            Some(wanted(cluster).into_iter().map(move |it| (until, it)))
        });
        let mut waiting: Vec<(Instant, Source)> = patient.flatten().collect();
        waiting.retain(|(_, source)| !self.is_settled(source));
        // What may be waited for least stands at the end.
        waiting.sort_unstable_by(|one, other| other.cmp(one));
        let mut silent = Vec::new();
        while let Some((until, source)) = waiting.pop() {
            let answer = async {
                while !self.has_answered(&source) {
                    self.answered().await;
                }
            };
            if timeout_at(until, answer).await.is_err() {
                self.give_up(&source);
                silent.push(source);
            }
        }
        silent.sort_unstable();
        silent.dedup();
        silent
    }

    /// The sources of a configuration that are waited for.
    pub fn awaited(&self, config: &Config) -> Vec<Source> {
        let clusters = config.clusters.iter();
        let patient = clusters.filter(|it| it.discovery.initial_fetch_timeout.is_some());
        let mut awaited: Vec<_> = patient.flat_map(wanted).collect();
        awaited.retain(|source| !self.is_settled(source));
        awaited.sort_unstable();
        awaited.dedup();
        awaited
    }
}

/// Sources by name, for a line.
pub fn names(sources: &[Source]) -> String {
    let names = sources.iter().take(SILENT_SOURCES_TOLD);
    let names: Vec<String> = names.map(ToString::to_string).collect();
    let more = sources.len().saturating_sub(SILENT_SOURCES_TOLD);
    match more {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use tokio::task::{LocalSet, spawn_local, yield_now};

    use super::*;
    use crate::io;

    fn config(clusters: &str) -> Config {
        let text = format!(
            "clusters = [{clusters}]\n[[listeners]]\nname = \"l\"\naddress = \"127.0.0.1:1\"\n\
             [[listeners.virtual_hosts]]\nhosts = [\"*\"]\nroutes = [{{ forward = \"a\" }}]\n"
        );
        crate::config::parse(&text, "f".as_ref()).unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        LocalSet::new().block_on(&runtime.expect("a runtime"), test);
    }

    #[test]
    fn all_sources_are_waited_for_and_none_beyond_its_time() {
        run(async {
            let config = config(
                "{ name = \"a\", discovery.file = \"a.json\" },
                 { name = \"b\", discovery.file = \"b.json\",
                   discovery.initial_fetch_timeout = \"1ms\" },
                 { name = \"c\", discovery.file = \"c.json\",
                   discovery.initial_fetch_timeout = \"off\" }",
            );
            let directory = Rc::new(Directory::default());
            let [a, b, c] = ["a", "b", "c"].map(|it| Source::File(format!("{it}.json").into()));
            directory.want(&config);
            assert_eq!(directory.awaited(&config), [a.clone(), b.clone()]);
            let waiting = Rc::clone(&directory);
            let clusters = config.clusters.clone();
            let waiting = spawn_local(async move { waiting.first_answers(&clusters).await });
            for _ in 0..10 {
                yield_now().await;
            }
            assert!(!waiting.is_finished());
            // A failure is no answer.
            directory.failed(&a, "not there");
            directory.found(&a, Vec::new(), io::Instant::from_nanos(1));
            let silent = waiting.await.expect("an end");
            assert_eq!(silent, std::slice::from_ref(&b));
            assert_eq!(directory.awaited(&config), []);
            // It has had its time; the other one would be asked about for nothing.
            assert_eq!(directory.first_answers(&config.clusters).await, []);
            assert_eq!(names(&[b, c]), "file:b.json, file:c.json");
            assert_eq!(names(&vec![a; 10]).matches("file:a.json").count(), 8);
        });
    }

    #[test]
    fn what_has_answered_before_is_not_waited_for() {
        run(async {
            let config = config("{ name = \"a\", discovery = { file = \"a.json\" } }");
            let directory = Directory::default();
            directory.want(&config);
            let source = Source::File("a.json".into());
            directory.found(&source, Vec::new(), io::Instant::from_nanos(1));
            assert_eq!(directory.first_answers(&config.clusters).await, []);
        });
    }
}
