//! Where a result was made, and what else the machine had to do: a section of every page.
//!
//! What a machine did not tell is left out, but for what a reader would look for: that there is no
//! CPU limit, and why there is no governor.

use crate::environment::{Environment, Meanwhile};

use super::markup::Markup;
use super::words::{bytes, instant, percent};

/// What is known of a place besides the environment: name and value.
type Facts = [(String, String)];

/// The section. `more` are facts of one kind of result.
pub(crate) fn section(
    markup: &mut Markup,
    environment: &Environment,
    meanwhile: Option<&Meanwhile>,
    more: &Facts,
) {
    markup.section("environment", "Where it was measured");
    let meanwhile = meanwhile.cloned().unwrap_or_default();
    let remarks = [environment.remarks(), meanwhile.remarks()].concat();
    markup.warning("The machine was not quiet", &remarks);
    let mut facts = machine(environment);
    facts.extend_from_slice(more);
    facts.extend(busy(environment, &meanwhile));
    markup.facts(&facts);
    markup.end_section();
}

fn fact(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

fn machine(environment: &Environment) -> Vec<(String, String)> {
    let governor = match environment.governor.as_str() {
        "" => "not told (a virtual machine, or no frequency scaling)",
        governor => governor,
    };
    let smt = match environment.smt.as_str() {
        "" => String::new(),
        "on" => "on: two threads share a core".into(),
        "notsupported" => "none: one thread per core".into(),
        other => other.into(),
    };
    let memory = match environment.memory_bytes {
        0 => String::new(),
        memory => bytes(memory),
    };
    let limit = environment.cpu_limit;
    vec![
        fact("when", instant(environment.began_unix_seconds)),
        fact("kernel", &*environment.kernel),
        fact("processor", &*environment.cpu_model),
        fact(
            "processors it may use",
            match &*environment.allowed_cpus {
                "" => environment.cpu_count.to_string(),
                list => format!("{} (number {list})", environment.cpu_count),
            },
        ),
        fact(
            "CPU limit",
            limit.map_or_else(
                || "none by a control group".into(),
                |limit| format!("{limit:.2} processors' worth of time"),
            ),
        ),
        fact("frequency governor", governor),
        fact("SMT", smt),
        fact("scheduling", &*environment.scheduling),
        fact("memory", memory),
        fact("loadgen", &*environment.loadgen),
    ]
}

fn busy(environment: &Environment, meanwhile: &Meanwhile) -> Vec<(String, String)> {
    let before: Vec<_> = environment
        .pressure
        .iter()
        .map(|(resource, percent)| format!("{resource} {percent:.1} %"))
        .collect();
    let during: Vec<_> = meanwhile
        .pressure
        .iter()
        .map(|(resource, share)| format!("{resource} {}", percent(*share)))
        .collect();
    let all = |share: Option<f64>| share.map(percent).unwrap_or_default();
    vec![
        fact("load average before", &*environment.load_average),
        fact("waiting tasks, 10 s before", before.join(", ")),
        fact("waiting tasks meanwhile", during.join(", ")),
        fact("all processors busy", all(meanwhile.busy_share)),
        fact("taken by a hypervisor", all(meanwhile.stolen_share)),
    ]
}

/// The line beneath a title: when and on what.
pub(crate) fn line(environment: &Environment) -> String {
    let parts = [
        instant(environment.began_unix_seconds),
        environment.cpu_model.clone(),
        match environment.kernel.as_str() {
            "" => String::new(),
            kernel => format!("Linux {kernel}"),
        },
    ];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" · ")
}
