//! Configurations. What must hold for any text: no panic; problems stand on lines of the file and
//! say something; what is accepted compiles to tables that answer requests, and its dump is
//! accepted and means the same. Seeds: the files in `config/`.

#![no_main]

use std::path::Path;

use engine::config;
use engine::http::{HeadLimits, RequestHead, Scheme, h1};
use engine::route::{RouteAction, RouteTable};
use libfuzzer_sys::fuzz_target;

const REQUESTS: [&str; 4] = [
    "GET /api/v1//x?debug=1&page=%32 HTTP/1.1\r\nHost: a.example.com:8080\r\nx-version: next\r\n\r\n",
    "POST /login HTTP/1.1\r\nHost: [::1]\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: shop.example.com\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
];

fuzz_target!(|text: &str| {
    let config = match config::parse(text, Path::new("f")) {
        Ok(config) => config,
        Err(errors) => {
            let lines = text.matches('\n').count() + 1;
            assert!(!errors.problems().is_empty());
            for problem in errors.problems() {
                assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)));
                assert!(!problem.message.is_empty());
            }
            return;
        }
    };
    let dumped = toml::to_string(&config).expect("a configuration can be written");
    match config::parse(&dumped, Path::new("dump")) {
        Ok(again) => assert_eq!(again, config),
        Err(errors) => panic!("{errors}\n{dumped}"),
    }
    for listener in &config.listeners {
        let table = RouteTable::compile(listener);
        for request in REQUESTS {
            find(&table, request.as_bytes());
        }
    }
});

fn find(table: &RouteTable, bytes: &[u8]) {
    let mut head = RequestHead::new();
    h1::request::parse(bytes, &HeadLimits::default(), &mut head).expect("the request is valid");
    let request = head.view(bytes);
    let Some(route) = table.find(&request) else {
        return;
    };
    let mut out = Vec::new();
    match &route.action {
        RouteAction::Forward(clusters) => {
            let picked = clusters.pick(u32::MAX);
            assert!(clusters.clusters().any(|cluster| cluster == picked));
            route
                .rewrite
                .apply(request.path(), request.query(), &mut out);
        }
        RouteAction::Redirect(redirect) => {
            redirect.location(&request, Scheme::Http, &mut out);
            assert!(out.iter().all(u8::is_ascii_graphic));
            assert!(!out.starts_with(b"//"));
        }
        RouteAction::Direct(response) => assert!(response.status >= 200),
    }
}
