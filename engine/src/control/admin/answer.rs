//! What a page of the admin interface says.
//!
//! In: a request and the `View`. Out: an `Answer`. Pages with figures ask the shards first; a shard
//! that does not answer in time is named in the field `weft-silent-shards`, and its figures are
//! those of the last time it did.

use std::rc::Rc;

use bytes::Bytes;
use http_body_util::channel::Channel;
use http_body_util::{Either, Full};
use hyper::{Request, StatusCode};

use super::clusters::Clusters;
use super::histograms::Wanted;
use super::page::{self, Miss, PAGES, Page};
use super::{generation, tables};
use crate::control::arguments::VERSION;
use crate::control::discovery::first_answers::names;
use crate::control::signals::Lifecycle;
use crate::control::view::View;
use crate::limits::SCRAPE_PATIENCE;
use crate::record::Ledger;
use crate::record::expose::key_sets::{self, KeySetFigures};
use crate::record::expose::{prometheus, stats};

/// A response, before it is written.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: &'static str,
    /// The value of `Allow`, for 405.
    pub(super) allow: Option<&'static str>,
    /// The numbers of the shards whose newest figures are missing, with commas; or nothing.
    pub(super) silent: String,
    pub(super) body: Content,
}

/// What is in a response: all of it, or what is made as it is read.
pub(super) type Content = Either<Full<Bytes>, Channel<Bytes>>;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

impl Answer {
    fn new(status: StatusCode, content_type: &'static str, body: impl Into<String>) -> Self {
        Self {
            status,
            content_type,
            allow: None,
            silent: String::new(),
            body: Either::Left(Full::from(body.into())),
        }
    }

    pub(super) fn forbidden(why: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, TEXT, why)
    }

    fn ok(content_type: &'static str, body: impl Into<String>) -> Self {
        Self::new(StatusCode::OK, content_type, body)
    }
}

/// Answers one request; its body, if it has one, is not read.
pub(super) async fn answer<B>(view: &Rc<View>, request: &Request<B>) -> Answer {
    match page::find(request.method(), request.uri().path()) {
        Ok(page) => show(view, page, request.uri().query()).await,
        Err(miss) => missed(&miss),
    }
}

fn missed(miss: &Miss) -> Answer {
    let (allow, body) = match miss {
        Miss::NotFound => (None, "No such page; / lists them.\n".to_owned()),
        Miss::WrongMethod(methods) => (Some(*methods), format!("This page takes {methods}.\n")),
    };
    Answer {
        allow,
        ..Answer::new(miss.status(), TEXT, body)
    }
}

async fn show(view: &Rc<View>, page: Page, query: Option<&str>) -> Answer {
    match page {
        Page::Index => Answer::ok(TEXT, index() + "\n" + &generation::line(view)),
        Page::Live => live(view),
        Page::Ready => ready(view),
        Page::ConfigDump => Answer::ok(JSON, generation::config_dump(view)),
        Page::Metrics => figures(view, |ledger| metrics(view, ledger)).await,
        Page::Keys => Answer::ok(JSON, tables::keys(&view.key_sets.reports())),
        Page::Stats => figures(view, statistics).await,
        Page::Histograms => figures(view, |ledger| histograms(view, query, ledger)).await,
        Page::Clusters => clusters(view, query).await,
        Page::Listeners => {
            figures(view, |ledger| {
                Answer::ok(JSON, tables::listeners(&view.config(), ledger))
            })
            .await
        }
        Page::Drain => {
            view.drain_bell.notify_one();
            Answer::new(StatusCode::ACCEPTED, TEXT, "draining\n")
        }
    }
}

async fn clusters(view: &Rc<View>, query: Option<&str>) -> Answer {
    match Clusters::new(view, page::argument(query, "cluster").as_deref()) {
        Err(why) => Answer::new(StatusCode::BAD_REQUEST, TEXT, why),
        Ok(clusters) => Answer {
            silent: list(&view.collector.refresh_clusters(SCRAPE_PATIENCE).await),
            body: Either::Right(clusters.send()),
            ..Answer::ok(JSON, "")
        },
    }
}

/// A page with figures: asks the shards, then tells from the ledger.
async fn figures(view: &View, tell: impl FnOnce(&Ledger) -> Answer) -> Answer {
    let silent = view.collector.refresh(SCRAPE_PATIENCE).await;
    let answer = tell(&view.collector.ledger());
    Answer {
        silent: list(&silent),
        ..answer
    }
}

fn list(shards: &[usize]) -> String {
    let shards: Vec<String> = shards.iter().map(ToString::to_string).collect();
    shards.join(",")
}

fn metrics(view: &View, ledger: &Ledger) -> Answer {
    let mut body = String::new();
    prometheus::write(&mut body, ledger);
    generation::metrics(view, &mut body);
    prometheus::write_health(&mut body, &view.checks.all());
    view.collector.write_balancing(&mut body);
    view.discovery.write_metrics(&mut body);
    let keys = view.key_sets.reports();
    let keys = keys.iter().map(|keys| KeySetFigures {
        url: &keys.url,
        keys: keys.keys.unwrap_or(0),
        age: keys.age,
        fetched: keys.fetches,
    });
    key_sets::write_key_sets(&mut body, keys);
    Answer::ok(prometheus::CONTENT_TYPE, body)
}

fn statistics(ledger: &Ledger) -> Answer {
    let mut body = String::new();
    stats::write(&mut body, ledger);
    Answer::ok(TEXT, body)
}

fn histograms(view: &View, query: Option<&str>, ledger: &Ledger) -> Answer {
    let written = Wanted::parse(query, ledger.names()).and_then(|wanted| {
        let body = wanted.write(ledger, view.started)?;
        Ok(Answer::ok(wanted.content_type(), body))
    });
    written.unwrap_or_else(|why| Answer::new(StatusCode::BAD_REQUEST, TEXT, why))
}

fn index() -> String {
    let mut text = format!("weft {VERSION}\n\n");
    for entry in &PAGES {
        let method = if entry.changes { "POST" } else { "GET" };
        text.push_str(&format!(
            "{method:<5}{:<14}{}\n",
            entry.path, entry.description
        ));
    }
    text
}

/// Alive: every shard runs, or is ending because it was told to.
fn live(view: &View) -> Answer {
    let ended = view.ended();
    if view.lifecycle.get() == Lifecycle::Draining || ended.is_empty() {
        return Answer::ok(TEXT, "alive\n");
    }
    Answer::new(
        StatusCode::SERVICE_UNAVAILABLE,
        TEXT,
        format!("shards ended: {ended:?}\n"),
    )
}

/// Ready: connections are accepted on every shard.
fn ready(view: &View) -> Answer {
    if view.lifecycle.get() == Lifecycle::Draining {
        return Answer::new(StatusCode::SERVICE_UNAVAILABLE, TEXT, "draining\n");
    }
    if !view.is_accepting.get() {
        let awaited = view.discovery.directory.awaited(&view.config());
        let body = format!("waiting for the first answers of {}\n", names(&awaited));
        return Answer::new(StatusCode::SERVICE_UNAVAILABLE, TEXT, body);
    }
    let live = live(view);
    if live.status == StatusCode::OK {
        Answer::ok(TEXT, "ready\n")
    } else {
        live
    }
}
