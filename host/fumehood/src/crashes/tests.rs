//! Reports that are too many, too large, damaged, or of an engine gone rogue.
#![allow(clippy::unwrap_used, reason = "a test")]

use fumehood_control::{FaultReport, Frame, ModuleHeader, RecordedCall, TrailStep};

use super::*;

fn fault(number: u64) -> FaultReport {
    FaultReport {
        number,
        header: ModuleHeader {
            name: "http1".to_owned(),
            version: "1.0.0".to_owned(),
            digest: [0xab; 32],
        },
        kind: "trap".to_owned(),
        detail: "index out of bounds".to_owned(),
        location: "src/lib.rs:1:2".to_owned(),
        backtrace: vec![Frame {
            function: "http1::parse".to_owned(),
            offset: 17,
        }],
        trail: vec![TrailStep {
            at_us: 5,
            what: "receive 412 bytes".to_owned(),
        }],
        recording: Vec::new(),
        aftermath: fumehood_control::Aftermath::Resumed,
        quarantined: false,
    }
}

struct Setting {
    temp: tempfile::TempDir,
    writer: Writer,
}

impl Setting {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let reports = CrashReports::In(temp.path().join("crashes"));
        Setting {
            temp,
            writer: Writer::new(&reports, &[]),
        }
    }

    fn folder(&self) -> PathBuf {
        self.temp.path().join("crashes")
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.folder()).unwrap().count()
    }
}

#[test]
fn a_report_is_found_again_by_its_name_or_its_beginning() {
    let it = Setting::new();
    assert!(list(&it.folder()).unwrap().is_empty());
    it.writer.write_now(&fault(1)).unwrap();
    let all = list(&it.folder()).unwrap();
    assert_eq!(all.len(), 1);
    let report = &all[0];
    assert_eq!(report.digest, "ab".repeat(32));
    assert_eq!(report.backtrace[0].function, "http1::parse");
    assert_eq!(show(&it.folder(), &report.id).unwrap(), *report);
    assert_eq!(show(&it.folder(), &report.id[..8]).unwrap(), *report);
    for unknown in ["", "x", "../secret"] {
        assert!(matches!(
            show(&it.folder(), unknown),
            Err(CrashError::Unknown(_))
        ));
    }
}

#[test]
fn the_json_has_the_shape_that_is_promised() {
    let it = Setting::new();
    it.writer.write_now(&fault(1)).unwrap();
    let id = list(&it.folder()).unwrap().remove(0).id;
    let text = std::fs::read_to_string(it.folder().join(format!("{id}.json"))).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut keys: Vec<&str> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    let promised = [
        "aftermath",
        "backtrace",
        "detail",
        "digest",
        "format",
        "fumehood",
        "id",
        "kind",
        "layers",
        "location",
        "module",
        "quarantined",
        "recording",
        "time",
        "trail",
        "version",
    ];
    assert_eq!(keys, promised);
    assert_eq!(json["trail"][0]["what"], "receive 412 bytes");
    assert!(json["recording"].is_null());
}

#[test]
fn so_many_files_and_no_more() {
    let it = Setting::new();
    for number in 0..150 {
        it.writer.write_now(&fault(number)).unwrap();
    }
    assert_eq!(it.files(), MAX_FILES);
    let last = list(&it.folder()).unwrap().pop().unwrap();
    assert!(last.id.ends_with("-149"), "{}", last.id);
}

#[test]
fn so_many_bytes_and_no_more() {
    let it = Setting::new();
    let mut large = fault(0);
    let call = RecordedCall {
        function: "receive".to_owned(),
        arguments: vec![7; 300_000],
    };
    large.recording.push(call);
    for number in 0..40 {
        large.number = number;
        it.writer.write_now(&large).unwrap();
    }
    let sum = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().metadata().unwrap().len();
    let bytes: u64 = std::fs::read_dir(it.folder()).unwrap().map(sum).sum();
    assert!((MAX_BYTES / 2..=MAX_BYTES).contains(&bytes), "{bytes}");
}

#[test]
fn a_recording_comes_back_as_it_was() {
    let it = Setting::new();
    let mut recorded = fault(1);
    let call = RecordedCall {
        function: "receive".to_owned(),
        arguments: vec![0, 255, 3],
    };
    recorded.recording = vec![call; 3];
    it.writer.write_now(&recorded).unwrap();
    let report = list(&it.folder()).unwrap().remove(0);
    let path = it.folder().join(report.recording.unwrap());
    let trail = read_trail(&path).unwrap();
    assert_eq!(trail.recording().unwrap(), recorded.recording);
    assert_eq!(trail.header().unwrap(), recorded.header);
    let text = std::fs::read_to_string(&path).unwrap();
    for damage in [
        text.replace("00ff03", "00ff0g"),
        text.replace("\"format\":1", "\"format\":2"),
    ] {
        std::fs::write(&path, damage).unwrap();
        assert!(read_trail(&path).is_err());
    }
}

#[test]
fn an_engine_gone_rogue_names_no_file_elsewhere() {
    let it = Setting::new();
    let mut rogue = fault(1);
    rogue.header.name = "../../../etc/passwd\0\n".repeat(100);
    it.writer.write_now(&rogue).unwrap();
    assert_eq!(it.files(), 1);
    assert_eq!(std::fs::read_dir(it.temp.path()).unwrap().count(), 1);
}

#[test]
fn where_they_are_off_nothing_is_written() {
    assert!(
        Writer::new(&CrashReports::Off, &[])
            .write_now(&fault(1))
            .is_ok()
    );
}
