//! Journals that are whole, cut, damaged, foreign, in use and on a full disk.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;

use super::super::registry::Registration;
use super::*;

/// A folder of one test.
struct Folder(PathBuf);

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Folder {
    fn new() -> Self {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("weft-journal-{}-{turn}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn open(&self) -> (Journal, Recovered) {
        // The thread of a journal that was dropped ends when it has written everything.
        loop {
            match Journal::open(&self.0, 7) {
                Err(OpenError::Used(_)) => thread::yield_now(),
                opened => return opened.expect("opened"),
            }
        }
    }

    fn path(&self) -> PathBuf {
        self.0.join(NAME)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

fn put(id: &str, port: u16, until: u64) -> Record {
    let document = json!({"address": format!("10.0.0.1:{port}"), "metadata": {"a": "b\n\u{e9}"}});
    let registration = Registration::read("orders", Some(id), &document).expect("valid");
    Record::Put {
        registration: registration.into(),
        is_draining: port.is_multiple_of(2),
        until,
    }
}

fn renew(id: &str, until: u64) -> Record {
    Record::Renew {
        service: "orders".into(),
        id: id.into(),
        until,
    }
}

fn gone(id: &str) -> Record {
    Record::Gone {
        service: "orders".into(),
        id: id.into(),
    }
}

fn written(journal: &Journal, records: &[Record]) -> Result<(), WriteError> {
    let answer = journal.write(records)?;
    answer.blocking_recv().expect("an answer")
}

/// Ids, ends of leases and drains.
fn told(recovered: &Recovered) -> Vec<(String, u64, bool)> {
    let entries = recovered.entries.iter();
    entries
        .map(|entry| {
            let id = entry.registration.id.to_string();
            (id, entry.until, entry.is_draining)
        })
        .collect()
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let folder = Folder::new();
    let (journal, recovered) = folder.open();
    assert!(recovered.entries.is_empty() && !recovered.is_torn);
    let records = [put("a", 1, 100), put("b", 2, 100), put("c", 3, 100)];
    assert_eq!(written(&journal, &records), Ok(()));
    assert_eq!(journal.note(&[renew("a", 200)]), Ok(()));
    assert_eq!(written(&journal, &[gone("c"), put("b", 3, 300)]), Ok(()));
    drop(journal);
    let (journal, recovered) = folder.open();
    let expected = [("a".to_owned(), 200, false), ("b".to_owned(), 300, false)];
    assert_eq!(told(&recovered), expected);
    assert_eq!(recovered.damaged_count, 0);
    let rewritten = journal.rewrite([put("z", 1, 1)].into_iter()).expect("sent");
    assert_eq!(rewritten.blocking_recv(), Ok(Ok(())));
    drop(journal);
    assert_eq!(told(&folder.open().1), [("z".to_owned(), 1, false)]);
}

#[test]
fn a_folder_has_one_user() {
    let folder = Folder::new();
    let (_journal, _) = folder.open();
    let second = Journal::open(&folder.0, 0).expect_err("in use");
    assert!(matches!(second, OpenError::Used(_)), "{second}");
}

/// A journal of three lines behind its header, as bytes.
fn sample() -> Vec<u8> {
    writer::lines([put("a", 1, 100), put("b", 1, 100), renew("a", 200)].into_iter())
}

#[test]
fn a_journal_cut_anywhere_has_every_whole_line() {
    let whole = sample();
    for cut in 0..=whole.len() {
        let folded = fold::fold(&whole[..cut]).expect("memory");
        assert_eq!(folded.damaged_count, 0, "cut at {cut}");
        let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
        let is_at_end = cut == 0 || whole[cut - 1] == b'\n';
        assert_eq!(folded.is_torn, !is_at_end, "cut at {cut}");
        assert_eq!(
            folded.entries.len(),
            lines.saturating_sub(1).min(2),
            "cut at {cut}"
        );
        let until = folded.entries.values().next().map(|entry| entry.until);
        let expected = [None, None, Some(100), Some(100), Some(200)][lines];
        assert_eq!(until, expected, "cut at {cut}");
    }
}

#[test]
fn a_damaged_byte_anywhere_costs_its_line_and_is_told() {
    let whole = sample();
    for place in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        let folded = fold::fold(&damaged[..]).expect("memory");
        // The newline between two lines belongs to both; the last one's loss looks like a cut.
        let is_told = folded.damaged_count > 0 || folded.is_torn;
        assert!(is_told, "byte {place}");
        assert!(folded.damaged_count <= 2, "byte {place}");
        let lost = if whole[place] == b'\n' { 2 } else { 1 };
        assert!(folded.entries.len() + lost >= 2, "byte {place}");
    }
}

#[test]
fn a_damaged_journal_is_set_aside_and_what_is_readable_goes_on() {
    let folder = Folder::new();
    drop(folder.open());
    let mut bytes = sample();
    let second = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .expect("a line");
    bytes[second + 20] ^= 1;
    fs::write(folder.path(), &bytes).expect("written");
    let (journal, recovered) = folder.open();
    let aside = recovered.aside.clone().expect("set aside");
    assert_eq!(fs::read(&aside).expect("kept"), bytes, "as it was");
    assert!(aside.ends_with("registry.journal.damaged-7"), "{aside:?}");
    assert_eq!(
        (recovered.damaged_count, &recovered.damaged[..]),
        (1, &[2][..])
    );
    assert_eq!(told(&recovered), [("b".to_owned(), 100, false)]);
    assert_eq!(written(&journal, &[put("c", 1, 1)]), Ok(()));
    drop(journal);
    let (_journal, recovered) = folder.open();
    assert_eq!(recovered.aside, None, "the new one is whole");
    assert_eq!(recovered.entries.len(), 2);
}

#[test]
fn what_is_no_journal_is_set_aside_as_a_whole() {
    for content in [
        &b"\0\0\0\0\n\xff\xfe\n"[..],
        b"[clusters]\nname = 1\n",
        &[b'x'; 200_000],
    ] {
        let folder = Folder::new();
        drop(folder.open());
        fs::write(folder.path(), content).expect("written");
        let (_journal, recovered) = folder.open();
        assert!(recovered.entries.is_empty() && recovered.damaged_count > 0);
        let aside = recovered.aside.expect("set aside");
        assert_eq!(fs::read(aside).expect("kept"), content);
    }
}

#[test]
fn a_torn_tail_is_cut_off_and_writing_goes_on_behind_it() {
    let folder = Folder::new();
    drop(folder.open());
    let whole = sample();
    fs::write(folder.path(), &whole[..whole.len() - 5]).expect("written");
    let (journal, recovered) = folder.open();
    assert!(recovered.is_torn && recovered.aside.is_none());
    assert_eq!(recovered.entries.len(), 2);
    assert_eq!(written(&journal, &[gone("b")]), Ok(()));
    drop(journal);
    let (_journal, recovered) = folder.open();
    assert!(!recovered.is_torn);
    assert_eq!(told(&recovered), [("a".to_owned(), 100, false)]);
}

#[test]
fn a_journal_that_is_mostly_past_is_folded() {
    let folder = Folder::new();
    let (journal, _) = folder.open();
    assert_eq!(written(&journal, &[put("a", 1, 0)]), Ok(()));
    let renewals: Vec<Record> = (0..1000).map(|until| renew("a", until)).collect();
    let line_bytes = append_lines(&renewals).len() as u64;
    let rounds = limits::JOURNAL_REWRITE_BYTES / line_bytes + 2;
    for _ in 0..rounds {
        assert_eq!(written(&journal, &renewals), Ok(()));
    }
    drop(journal);
    // Open when the one before has ended, and with it the fold.
    let (_journal, recovered) = folder.open();
    let length = fs::metadata(folder.path()).expect("a file").len();
    assert!(length < limits::JOURNAL_REWRITE_BYTES, "{length}");
    assert_eq!(told(&recovered), [("a".to_owned(), 999, false)]);
}

#[test]
fn what_is_written_while_a_journal_is_folded_stays_behind_what_was_folded() {
    let folder = Folder::new();
    let (journal, _) = folder.open();
    assert_eq!(written(&journal, &[put("a", 1, 0)]), Ok(()));
    // So many that they cannot be folded before the next change.
    let count = 20_000;
    let many: Vec<Record> = (0..count).map(|id| put(&format!("x{id}"), 1, 1)).collect();
    while fs::metadata(folder.path()).expect("a file").len() < limits::JOURNAL_REWRITE_BYTES {
        assert_eq!(written(&journal, &many), Ok(()));
    }
    for until in 1..=300 {
        assert_eq!(written(&journal, &[renew("a", until), gone("x7")]), Ok(()));
        assert_eq!(written(&journal, &[put("x7", 1, until)]), Ok(()));
    }
    drop(journal);
    let (_journal, recovered) = folder.open();
    assert_eq!((recovered.damaged_count, recovered.is_torn), (0, false));
    let until = |id: &str| {
        let mut entries = recovered.entries.iter();
        let entry = entries.find(|entry| &*entry.registration.id == id);
        entry.map(|entry| entry.until)
    };
    assert_eq!((until("a"), until("x7")), (Some(300), Some(300)));
    assert_eq!(recovered.entries.len(), count + 1);
    assert!(!folder.path().with_extension("folded").exists());
}

#[test]
fn a_file_that_cannot_take_the_place_of_another_leaves_nothing_behind() {
    let folder = Folder::new();
    fs::create_dir_all(folder.path()).expect("a folder where the file would be");
    assert!(replace(&folder.path(), b"content").is_err());
    let left: Vec<_> = fs::read_dir(&folder.0).expect("a folder").collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_disk_that_fails_is_told_and_the_whole_journal_heals_it() {
    let folder = Folder::new();
    let (journal, _) = folder.open();
    assert_eq!(written(&journal, &[put("a", 1, 1)]), Ok(()));
    drop(journal);
    // Writes to this device always fail: no space is left.
    let full = OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("a device");
    let (changes, queue) = flume::bounded(8);
    let writer = Writer::new(folder.path(), full, 0);
    let thread = thread::Builder::new().spawn(move || writer.run(&queue));
    let send = |lines| {
        let (done, answer) = oneshot::channel();
        let change = Change::Append {
            lines,
            done: Some(done),
        };
        changes.send(change).expect("running");
        answer.blocking_recv().expect("an answer")
    };
    let error = send(append_lines(&[put("b", 1, 1)])).expect_err("no space");
    assert!(error.to_string().contains("No space left"), "{error}");
    assert_eq!(
        send(append_lines(&[gone("a")])),
        Err(error),
        "nothing is in order again"
    );
    let (done, answer) = oneshot::channel();
    let lines = writer::lines([put("c", 1, 1)].into_iter());
    changes
        .send(Change::Rewrite { lines, done })
        .expect("running");
    assert_eq!(answer.blocking_recv(), Ok(Ok(())));
    assert_eq!(send(append_lines(&[put("d", 1, 1)])), Ok(()));
    drop(changes);
    thread.expect("started").join().expect("ended");
    let ids: Vec<String> = told(&folder.open().1)
        .into_iter()
        .map(|entry| entry.0)
        .collect();
    assert_eq!(ids, ["c", "d"]);
}
