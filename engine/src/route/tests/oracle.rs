//! Compiled tables against a plain reading of the rules, over many small random configurations.
//!
//! The plain reading asks every match of every rule, so it shares nothing with the tables.

use super::*;

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn path(&mut self) -> String {
        let segments = self.below(4);
        let path: String = (0..segments)
            .map(|_| format!("/{}", ["a", "b", "ab"][self.below(3)]))
            .collect();
        if path.is_empty() {
            "/".to_owned()
        } else {
            path
        }
    }

    fn condition(&mut self) -> String {
        let path = self.path();
        let mut text = match self.below(5) {
            0 => format!("path = {{ exact = '{path}' }}"),
            1 => format!("path = {{ regex = '{path}.*' }}"),
            _ => format!("path = {{ prefix = '{path}' }}"),
        };
        if self.below(3) == 0 {
            text += &format!(", method = '{}'", ["GET", "POST"][self.below(2)]);
        }
        let list = |count: usize| {
            let entries: Vec<String> = (0..count)
                .map(|n| format!("{{ name = 'x{n}', exact = '1' }}"))
                .collect();
            entries.join(", ")
        };
        text += &format!(", headers = [{}]", list(self.below(3)));
        text += &format!(", query = [{}]", list(self.below(3)));
        format!("{{ {text} }}")
    }
}

/// The tables agree with a plain reading of the rules: of all matches that hold, the one with the
/// greatest precedence, then the first.
#[test]
fn tables_agree_with_the_rules_read_one_by_one() {
    for seed in 0..60 {
        let mut numbers = Numbers(seed);
        let mut conditions: Vec<String> = (0..30).map(|_| numbers.condition()).collect();
        conditions.sort();
        conditions.dedup();
        let start = numbers.below(conditions.len());
        conditions.rotate_left(start);
        let texts: Vec<&str> = conditions.iter().map(String::as_str).collect();
        let listener = listener_of(&texts);
        let table = RouteTable::compile(&listener);
        for _ in 0..60 {
            let method = ["GET", "POST", "PUT"][numbers.below(3)];
            let query = ["", "?x0=1", "?x0=1&x1=1", "?x1=1"][numbers.below(4)];
            let fields = ["", "x0: 1\r\n", "x0: 1\r\nx1: 1\r\n"][numbers.below(3)];
            let slash = ["", "", "/"][numbers.below(3)];
            let path = format!("{}{slash}", numbers.path());
            let text = request(&format!("{method} {path}{query}"), fields);
            let expected = with_request(&text, |request| plainly(&listener, request));
            assert_eq!(
                found(&table, &text),
                expected.as_deref(),
                "seed {seed}: {text:?}"
            );
        }
    }
}

/// Kind of path, length of prefix, has a method, header conditions, query conditions.
type Rank = (u8, usize, bool, usize, usize);

fn plainly(listener: &model::Listener, request: &Request<'_>) -> Option<String> {
    assert_eq!(listener.virtual_hosts[0].hosts, [HostPattern::Any]);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let path = text(request.path());
    let mut best: Option<(Rank, String)> = None;
    for route in &listener.virtual_hosts[0].routes {
        for condition in &route.matches {
            let (kind, length, holds) = match &condition.path {
                PathMatch::Exact(exact) => (2, 0, *exact == path),
                PathMatch::Regex(pattern) => (1, 0, pattern.is_match(path.as_bytes())),
                PathMatch::Prefix(prefix) => {
                    let prefix = prefix.trim_end_matches('/');
                    let rest = path.strip_prefix(prefix);
                    let whole = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
                    (0, prefix.len(), whole)
                }
            };
            let exact = |value: &ValueMatch| match value {
                ValueMatch::Exact(text) => text.clone(),
                ValueMatch::Regex(_) => panic!("not generated"),
            };
            let method = condition.method.clone();
            let holds = holds
                && method
                    .as_ref()
                    .is_none_or(|name| name.as_bytes() == request.method_bytes())
                && condition.headers.iter().all(|field| {
                    let value = request.field_by_name(field.name.as_bytes());
                    value.is_some_and(|value| text(value) == exact(&field.value))
                })
                && condition.query.iter().all(|parameter| {
                    let wanted = format!("{}={}", parameter.name, exact(&parameter.value));
                    text(request.query().unwrap_or_default())
                        .split('&')
                        .any(|p| p == wanted)
                });
            let rank = (
                kind,
                length,
                method.is_some(),
                condition.headers.len(),
                condition.query.len(),
            );
            if holds && best.as_ref().is_none_or(|(least, _)| rank > *least) {
                best = Some((rank, route.name.to_string()));
            }
        }
    }
    best.map(|(_, name)| name)
}
