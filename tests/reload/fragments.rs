//! A configuration in several files: a file comes, changes, goes, or is wrong.

use std::{fs, net::SocketAddr, os::unix::fs::symlink, path::Path};

use rustix::process::Signal;

use crate::harness::{
    Origin, Proxy, ports,
    proxy::{output, weft},
    scratch::Scratch,
    wait,
};

use super::{generation, looked_at};

/// A file of `config/`.
fn shipped(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config");
    fs::read_to_string(folder.join(name)).expect("a shipped configuration")
}

fn naming(name: &str) -> Origin {
    let length = name.len();
    Origin::answering(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}"
    ))
}

/// The shipped file for the shop, with the shop at `address`.
fn shop(address: SocketAddr) -> String {
    shipped("fragments.d/10-shop.toml").replace("127.0.0.1:9001", &address.to_string())
}

/// Runs the shipped main file; `prepare` puts files beside it.
fn start(pages: &Origin, prepare: impl FnOnce(&Scratch)) -> Proxy {
    let (address, admin) = (ports::free(), ports::free());
    let main = shipped("fragments.toml")
        .replace("127.0.0.1:8080", &address.to_string())
        .replace("127.0.0.1:9901", &admin.to_string())
        .replace("127.0.0.1:9000", &pages.address().to_string());
    let scratch = Scratch::new();
    let mut command = weft();
    command
        .arg("--config")
        .arg(scratch.write("weft.toml", &main));
    prepare(&scratch);
    Proxy::spawn(command, scratch, address, admin)
}

/// Who answers for a host.
fn answer(proxy: &Proxy, host: &str) -> String {
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    proxy.connect().exchange(request).text()
}

fn expect(proxy: &Proxy, host: &str, name: &str) {
    wait::for_(&format!("{host} to be answered by {name}"), || {
        answer(proxy, host) == name
    });
}

#[test]
fn a_service_is_added_changed_and_removed_by_its_own_file() {
    let (pages, one, two) = (naming("pages"), naming("one"), naming("two"));
    let proxy = start(&pages, |_| {});
    assert_eq!(answer(&proxy, "shop.example.com"), "pages");
    // The folder appears, and the file in it.
    fs::create_dir(proxy.file("fragments.d")).expect("a folder");
    let (file, other) = (proxy.file("fragments.d/10-shop.toml"), proxy.file("new"));
    fs::write(&file, shop(one.address())).expect("written");
    expect(&proxy, "shop.example.com", "one");
    fs::write(&other, shop(two.address())).expect("written");
    fs::rename(&other, &file).expect("renamed over");
    expect(&proxy, "shop.example.com", "two");
    let search = shipped("fragments.d/20-search.toml").replace(
        "\"127.0.0.1:9002\", \"127.0.0.1:9003\"",
        &format!("\"{}\"", one.address()),
    );
    fs::write(proxy.file("fragments.d/20-search.toml"), search).expect("written");
    expect(&proxy, "search.example.com", "one");
    let files = proxy.admin_json("/config_dump")["files"].clone();
    let files: Vec<_> = files.as_array().expect("files").iter().collect();
    assert_eq!(files.len(), 3, "{files:?}");
    fs::rename(&file, &other).expect("moved away");
    expect(&proxy, "shop.example.com", "pages");
    assert_eq!(answer(&proxy, "search.example.com"), "one");
    assert_eq!(
        proxy.metric("weft_config_reloads_total", "result=\"rejected\""),
        0.0
    );
}

#[test]
fn one_broken_file_refuses_everything_and_is_named() {
    let (pages, one, two) = (naming("pages"), naming("one"), naming("two"));
    let proxy = start(&pages, |scratch| {
        fs::create_dir(scratch.file("fragments.d")).expect("a folder");
        scratch.write("fragments.d/10-shop.toml", &shop(one.address()));
    });
    assert_eq!(answer(&proxy, "shop.example.com"), "one");
    let broken = proxy.file("fragments.d/30-broken.toml");
    fs::write(&broken, "[[clusters]]\nname = \"shop\"\nendpoints = []\n").expect("written");
    let rejections = || proxy.metric("weft_config_reloads_total", "result=\"rejected\"");
    wait::for_("a refusal", || rejections() == 1.0);
    // What is right in other files does not take effect either.
    fs::write(proxy.file("fragments.d/10-shop.toml"), shop(two.address())).expect("written");
    wait::for_("another refusal", || rejections() == 2.0);
    assert_eq!(answer(&proxy, "shop.example.com"), "one");
    assert_eq!(generation(&proxy), 1);
    let dump = proxy.admin_json("/config_dump");
    let problem = &dump["last_rejection"]["problems"][0];
    let file = problem["file"].as_str().expect("a file");
    assert!(file.ends_with("fragments.d/30-broken.toml"), "{problem}");
    assert_eq!(
        (&problem["line"], &problem["field"]),
        (&2.into(), &"clusters[0].name".into())
    );
    let message = problem["message"].as_str().expect("a message");
    assert!(message.ends_with("fragments.d/10-shop.toml"), "{message}");
    assert!(
        proxy.stderr().contains("30-broken.toml:2"),
        "{}",
        proxy.stderr()
    );
    fs::remove_file(&broken).expect("removed");
    expect(&proxy, "shop.example.com", "two");
}

#[test]
fn a_mounted_folder_of_fragments_is_swapped_as_a_whole() {
    let (pages, one, two) = (naming("pages"), naming("one"), naming("two"));
    let proxy = start(&pages, |scratch| {
        for (folder, origin) in [("..1", &one), ("..2", &two)] {
            let folder = format!("fragments.d/{folder}");
            fs::create_dir_all(scratch.file(&folder)).expect("a folder");
            scratch.write(&format!("{folder}/shop.toml"), &shop(origin.address()));
        }
        symlink("..1", scratch.file("fragments.d/..data")).expect("a link");
        symlink("..data/shop.toml", scratch.file("fragments.d/shop.toml")).expect("a link");
    });
    assert_eq!(answer(&proxy, "shop.example.com"), "one");
    symlink("..2", proxy.file("fragments.d/..data_tmp")).expect("a link");
    let (next, data) = (
        proxy.file("fragments.d/..data_tmp"),
        proxy.file("fragments.d/..data"),
    );
    fs::rename(next, data).expect("swapped");
    expect(&proxy, "shop.example.com", "two");
}

#[test]
fn a_signal_reads_all_files_where_nothing_is_watched() {
    let (pages, one) = (naming("pages"), naming("one"));
    let proxy = start(&pages, |scratch| {
        fs::create_dir(scratch.file("fragments.d")).expect("a folder");
        scratch.write("fragments.d/00-quiet.toml", "watch = false\n");
    });
    let before = looked_at(&proxy);
    fs::write(proxy.file("fragments.d/10-shop.toml"), shop(one.address())).expect("written");
    proxy.signal(Signal::HUP);
    wait::for_("the files to be looked at", || looked_at(&proxy) > before);
    assert_eq!(answer(&proxy, "shop.example.com"), "one");
}

#[test]
fn check_diff_and_explain_read_all_files() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.file("fragments.d")).expect("a folder");
    let alone = scratch.write(
        "alone.toml",
        &shipped("fragments.toml").replace("include", "#"),
    );
    let main = scratch.write("weft.toml", &shipped("fragments.toml"));
    scratch.write(
        "fragments.d/10-shop.toml",
        &shipped("fragments.d/10-shop.toml"),
    );
    let run = |arguments: &[&Path]| {
        let output = output(weft().args(arguments));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (text, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let path = Path::new;
    let (out, err) = run(&[path("check"), path("--config"), &main]);
    assert!(
        out.contains("ok: 2 files, 1 listener, 2 routes"),
        "{out}{err}"
    );
    let (out, err) = run(&[path("diff"), &alone, &main]);
    assert!(out.contains("+ clusters[shop]\n"), "{out}{err}");
    let url = path("http://shop.example.com/");
    let (out, err) = run(&[path("explain"), path("--config"), &main, path("--url"), url]);
    assert!(out.contains("shop"), "{out}{err}");
    scratch.write("fragments.d/10-shop.toml", "drain = 3");
    let (_, err) = run(&[path("check"), path("--config"), &main]);
    assert!(
        err.contains("fragments.d/10-shop.toml:1: drain = 3"),
        "{err}"
    );
}
