//! Several files as one configuration: what is joined, what contradicts, and where it is said to
//! be.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::config::load;

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("weft-{}-{name}", std::process::id()));
        fs::create_dir_all(path.join("config.d")).expect("a folder");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("written");
        path
    }

    /// What is said about `main`, without the folder.
    fn problems(&self, main: &Path) -> Vec<String> {
        let folder = format!("{}/", self.0.display());
        match load(Some(main)) {
            Ok(_) => Vec::new(),
            Err(errors) => {
                let text = errors.to_string().replace(&folder, "");
                text.lines().map(str::to_owned).collect()
            }
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

const MAIN: &str = r#"
include = ["config.d/*.toml"]
drain = "20s"

[[listeners]]
name = "web"
address = "127.0.0.1:1"

[[listeners]]
name = "api"
address = "127.0.0.1:2"
virtual_hosts = [{ hosts = ["api.test"], routes = [{ forward = "app" }] }]

[[clusters]]
name = "app"
endpoints = ["127.0.0.1:3"]

[authentication]
api_keys = []
"#;

const SHOP: &str = r#"
[[clusters]]
name = "shop"
endpoints = ["127.0.0.1:4"]

[[virtual_hosts]]
listeners = ["web", "api"]
hosts = ["shop.test"]
routes = [{ forward = "shop" }]

[dns]
timeout = "1s"
"#;

#[test]
fn lists_are_appended_and_tables_merged_in_the_order_of_names() {
    let folder = Folder::new("joined");
    let main = folder.write("weft.toml", MAIN);
    folder.write("config.d/20-shop.toml", SHOP);
    folder.write(
        "config.d/10-more.toml",
        "[[clusters]]\nname = \"more\"\nendpoints = []\n",
    );
    for ignored in ["config.d/.hidden.toml", "config.d/30.toml~", "config.d/40"] {
        folder.write(ignored, "nonsense");
    }
    let sources = Sources::gather(Some(&main));
    let config = sources.config().unwrap_or_else(|errors| panic!("{errors}"));
    let names: Vec<&str> = config.clusters.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["app", "more", "shop"]);
    let hosts = config.listeners.iter().map(|listener| {
        let hosts = listener.virtual_hosts.iter().flat_map(|it| &it.hosts);
        hosts.map(ToString::to_string).collect::<Vec<_>>()
    });
    let hosts: Vec<_> = hosts.collect();
    assert_eq!(hosts, [vec!["shop.test"], vec!["api.test", "shop.test"]]);
    assert_eq!(config.dns.timeout.as_secs(), 1);
    let read = sources.files().read;
    let expected = [
        "weft.toml",
        "config.d/10-more.toml",
        "config.d/20-shop.toml",
    ];
    assert_eq!(read, expected.map(|name| folder.0.join(name)));
}

#[test]
fn what_several_files_say_is_refused_and_both_are_named() {
    let folder = Folder::new("clashes");
    let main = folder.write("weft.toml", MAIN);
    folder.write(
        "config.d/1.toml",
        "drain = \"5s\"\nshards = { count = 2 }\n[authentication]\napi_keys = 3\n",
    );
    folder.write("config.d/2.toml", "[shards]\ncount = 3\n");
    assert_eq!(
        folder.problems(&main),
        [
            "config.d/1.toml:1: drain = \"5s\": already set in weft.toml:3",
            "config.d/1.toml:4: authentication.api_keys = 3: already set in weft.toml:19",
            "config.d/2.toml:2: shards.count = 3: already set in config.d/1.toml:2",
            "3 errors",
        ]
    );
}

#[test]
fn problems_stand_in_their_file_and_lists_begin_anew_there() {
    let folder = Folder::new("problems");
    let main = folder.write("weft.toml", MAIN);
    folder.write(
        "config.d/1.toml",
        r#"[[clusters]]
name = "more"
endpoints = []

[[clusters]]
name = "app"
endpoints = ["nowhere"]

[[listeners]]
name = "other"
address = "127.0.0.1:2"
virtual_hosts = [{ hosts = ["*"], routes = [{ forward = "mor" }] }]

[[virtual_hosts]]
listeners = ["wep"]
hosts = ["a.test"]

[[virtual_hosts]]
listeners = ["web", "api"]
hosts = ["api.test"]
routes = [{ name = "r", forward = "app", nonsense = 1 }]
"#,
    );
    let found = folder.problems(&main);
    let expected = [
        "config.d/1.toml:6: clusters[1].name = \"app\": already used in clusters[0].name of weft.toml",
        "config.d/1.toml:7: clusters[1].endpoints[0] = \"nowhere\": expected",
        "config.d/1.toml:11: listeners[0].address = \"127.0.0.1:2\": already used in \
         listeners[1].address of weft.toml",
        "config.d/1.toml:12: listeners[0].virtual_hosts[0].routes[0].forward = \"mor\": no such \
         cluster, did you mean \"more\"?",
        "config.d/1.toml:15: virtual_hosts[0].listeners[0] = \"wep\": no such listener, did you mean \
         \"web\"?",
        "config.d/1.toml:20: virtual_hosts[1].hosts[0] = \"api.test\": already used in \
         listeners[1].virtual_hosts[0].hosts[0] of weft.toml",
        "config.d/1.toml:21: virtual_hosts[1].routes[0].nonsense: unknown key",
    ];
    assert_eq!(found.len(), expected.len() + 1, "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
}

#[test]
fn problems_found_later_are_told_where_the_field_stands() {
    let folder = Folder::new("later");
    let main = folder.write("weft.toml", MAIN);
    folder.write("config.d/20-shop.toml", SHOP);
    let sources = Sources::gather(Some(&main));
    let problem = |field: &str| Problem {
        line: None,
        field: field.to_owned(),
        value: None,
        message: "wrong".to_owned(),
    };
    let fields = [
        "clusters[1].tls.ca",
        "listeners[1].address",
        "dns.servers",
        "nowhere",
        "",
    ];
    let errors = sources.errors(fields.map(problem).into());
    let told = errors
        .to_string()
        .replace(&format!("{}/", folder.0.display()), "");
    assert_eq!(
        told.lines().collect::<Vec<_>>(),
        [
            "weft.toml: nowhere: wrong",
            "weft.toml: wrong",
            "weft.toml:11: listeners[1].address: wrong",
            "config.d/20-shop.toml:2: clusters[0].tls.ca: wrong",
            "config.d/20-shop.toml:11: dns.servers: wrong",
            "5 errors",
        ]
    );
}

#[test]
fn a_file_that_cannot_be_read_or_is_not_toml_is_named() {
    let folder = Folder::new("unread");
    let main = folder.write(
        "weft.toml",
        &MAIN.replace(
            "[\"config.d/*.toml\"]",
            "[\"config.d/*.toml\", \"gone.toml\"]",
        ),
    );
    folder.write("config.d/1.toml", "a = \n");
    fs::create_dir(folder.0.join("config.d/2.toml")).expect("a folder");
    let found = folder.problems(&main);
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(
        found[0].starts_with("config.d/1.toml:1: not TOML: "),
        "{found:#?}"
    );
    assert!(
        found[1].starts_with("config.d/2.toml: cannot be read: "),
        "{found:#?}"
    );
    assert!(
        found[2].starts_with("gone.toml: cannot be opened: "),
        "{found:#?}"
    );
}

#[test]
fn only_the_main_file_includes_and_only_what_can_be_understood() {
    let folder = Folder::new("nested");
    let main = folder.write("weft.toml", MAIN);
    folder.write(
        "config.d/1.toml",
        "include = [\"more/*.toml\"]\n[[clusters]]\n",
    );
    assert_eq!(
        folder.problems(&main)[0],
        "config.d/1.toml:1: include = [\"more/*.toml\"]: only the main file can include others"
    );
    folder.write("config.d/1.toml", SHOP);
    for (wrong, value) in [
        ("[\"*/a.toml\"]", "\"*/a.toml\""),
        ("[3]", "3"),
        ("[\"a/\"]", "\"a/\""),
    ] {
        let text = MAIN.replace("[\"config.d/*.toml\"]", wrong);
        let main = folder.write("weft.toml", &text);
        let expected =
            format!("weft.toml:2: include[0] = {value}: expected a path whose last part");
        let found = folder.problems(&main);
        assert!(found[0].starts_with(&expected), "{found:#?}");
    }
}

#[test]
fn a_folder_that_is_not_there_has_no_files_and_the_main_file_never_fits() {
    let folder = Folder::new("none");
    let text = MAIN.replace(
        "name = \"web\"",
        "name = \"web\"\nvirtual_hosts = [{ hosts = [\"*\"], \
         routes = [{ forward = \"app\" }] }]",
    );
    let main = folder.write("weft.toml", &text.replace("config.d/*", "later.d/*"));
    assert_eq!(folder.problems(&main), Vec::<String>::new());
    let main = folder.write("weft.toml", &text.replace("config.d/*.toml", "*.toml"));
    assert_eq!(folder.problems(&main), Vec::<String>::new());
    assert_eq!(Sources::gather(Some(&main)).files().read, [main]);
}

#[test]
fn files_together_have_a_bound() {
    let folder = Folder::new("bound");
    let text = "#".repeat(40);
    let (one, two) = (folder.write("1.toml", &text), folder.write("2.toml", &text));
    let mut sources = Sources::of_text("", Path::new("f"));
    let mut room = 60;
    for path in [&one, &two] {
        sources.add(path, &mut room);
    }
    let [refused] = &sources.unread[..] else {
        panic!("{:?}", sources.unread)
    };
    assert_eq!(refused.file, 2);
    assert!(
        refused
            .problem
            .message
            .contains("together with the files before it")
    );
}

#[test]
fn patterns_fit_names() {
    for (pattern, name, fits) in [
        ("*.toml", "a.toml", true),
        ("*.toml", ".toml", false),
        ("*.toml", "a.toml~", false),
        ("a*b*c", "aXbYc", true),
        ("a*b*c", "abc", true),
        ("a*b*c", "ac", false),
        ("aa*aa", "aaa", false),
        (".*", ".a", true),
        ("*", "anything", true),
    ] {
        let include = Include::parse(pattern).expect("a pattern");
        assert_eq!(include.fits(name), fits, "{pattern} {name}");
    }
}
