//! A guest traps under `fumehood fetch`: the version before goes on in its
//! place, and all of it can be read afterwards.

use std::fs;

use fumehood_tests::hostile::{Gate, Script, Server};

use crate::support::{POISON, Setting, held};

#[test]
fn a_trap_is_resumed_told_reported_and_at_last_quarantined() {
    let it = Setting::new();
    let gates = [Gate::new(), Gate::new(), Gate::new()];
    let server = Server::start(vec![
        held(&gates[0]),
        Script::answer(POISON),
        held(&gates[1]),
        Script::answer(POISON),
        held(&gates[2]),
        Script::answer(POISON),
    ]);
    let urls: Vec<String> = (0..6).map(|n| server.url(&format!("/{n}"))).collect();
    let running = it.fetch(&urls).arg("-v").start();

    gates[0].wait_for(1);
    let sound = it.ask(&["inspect", "http1"])[0]["digest"].clone();
    let sound = sound.as_str().unwrap();
    let faulty = it.load_and_swap(&it.faulty("http1@9.0.0.wasm"));
    gates[0].open();

    // It trapped, and so did a second instance of it: not yet too often.
    gates[1].wait_for(1);
    let listed = it.listed(&faulty);
    assert_eq!(listed["state"], "current", "{listed}");
    assert_eq!(
        (&listed["use"]["faults"], &listed["use"]["resumed"]),
        (&2.into(), &2.into())
    );
    let table = it.modules(&["list"]);
    let table = String::from_utf8(table.content().to_vec()).unwrap();
    assert!(table.contains("2 faults"), "{table}");
    for (count, value) in [("faults", 2), ("resumed", 2)] {
        let labels = format!("module=\"http1\",version=\"9.0.0\",digest=\"{faulty}\"");
        let line = format!("fumehood_module_{count}_total{{{labels},state=\"current\"}} {value}");
        let page = it.status(&["--metrics"]);
        assert!(page.lines().any(|it| it == line), "{line}\n{page}");
    }
    gates[1].open();

    // The third is one too many: the version before is current again.
    gates[2].wait_for(1);
    assert_eq!(it.listed(&faulty)["state"], "quarantined");
    assert_eq!(it.listed(&faulty)["origin"], "file");
    assert_eq!(it.listed(sound)["state"], "current");
    // Asked for by name, it begins anew.
    it.ask(&["swap", "http1", &faulty[..12]]);
    assert_eq!(it.listed(&faulty)["state"], "current");
    gates[2].open();

    let finished = running.finish();
    assert_eq!(finished.code(), 0, "{finished:?}");
    let reports = finished.reports();
    for poisoned in [1, 3, 5] {
        assert_eq!(fs::read(it.content(poisoned)).unwrap(), b"hello");
        let resumed = reports[poisoned]["resumed"].as_array().unwrap();
        let digest = resumed[0]["digest"].as_str().unwrap();
        assert!(
            resumed.len() == 1 && sound.starts_with(digest),
            "{resumed:?}"
        );
    }
    for honest in [0, 2, 4] {
        assert_eq!(fs::read(it.content(honest)).unwrap(), b"1234567890");
        assert_eq!(reports[honest]["resumed"].as_array().unwrap().len(), 0);
    }
    assert_eq!(finished.stderr.matches("goes on in its place").count(), 3);
    assert_eq!(server.connections(), 6, "the peer noticed");
    assert_crashes(&it);
}

#[test]
fn the_version_before_is_gone_back_to_when_asked() {
    let it = Setting::new();
    let gate = Gate::new();
    let server = Server::start(vec![held(&gate), Script::answer(POISON)]);
    let running = it.fetch(&[server.url("/1"), server.url("/2")]).start();
    gate.wait_for(1);
    let sound = it.ask(&["inspect", "http1"])[0]["digest"].clone();
    let sound = sound.as_str().unwrap();
    let faulty = it.load_and_swap(&it.faulty("http1@9.0.0.wasm"));
    assert_eq!(it.listed(&faulty)["state"], "current");
    let back = it.ask(&["rollback", "http1"]);
    assert_eq!(back["from"], faulty);
    assert_eq!(back["to"], sound);
    assert_eq!(it.listed(sound)["state"], "current");
    assert_ne!(it.listed(&faulty)["state"], "current");
    let unknown = it.modules(&["rollback", "nothing"]);
    assert_eq!(unknown.code(), 114, "{unknown:?}");
    gate.open();
    let finished = running.finish();
    // What asks for a trap found nobody who would.
    assert_eq!(finished.code(), 0, "{finished:?}");
    assert_eq!(
        finished.reports()[1]["resumed"].as_array().unwrap().len(),
        0
    );
}

#[test]
fn native_code_is_among_the_users_caches() {
    let it = Setting::new();
    let gate = Gate::new();
    let server = Server::start(vec![held(&gate)]);
    let running = it.fetch(&[server.url("/")]).start();
    gate.wait_for(1);
    let loaded = it.load_and_swap(&it.faulty("http1@9.0.0.wasm"));
    gate.open();
    assert_eq!(running.finish().code(), 0);
    // `XDG_CACHE_HOME` of the test.
    let kept = fs::read_dir(it.path("home/fumehood/modules")).unwrap();
    let names = kept.map(|file| file.unwrap().file_name().into_string().unwrap());
    let names: Vec<String> = names.collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(names[0].starts_with(&loaded) && names[0].ends_with(".native"));
}

/// What `fumehood crashes` tells of it.
fn assert_crashes(it: &Setting) {
    let all = it.crashes(&["list", "--json"]);
    let all: serde_json::Value = serde_json::from_slice(all.content()).unwrap();
    let all = all.as_array().unwrap();
    assert_eq!(all.len(), 6, "{all:?}");
    for report in all {
        assert_eq!(
            (&report["module"], &report["version"]),
            (&"http1".into(), &"9.0.0".into())
        );
        assert_eq!(
            (&report["kind"], &report["aftermath"]),
            (&"trap".into(), &"resumed".into())
        );
    }
    let quarantined = all.iter().filter(|it| it["quarantined"] == true).count();
    assert_eq!(quarantined, 1);
    let id = all[0]["id"].as_str().unwrap();
    let page = it.crashes(&["show", id]);
    let page = String::from_utf8(page.content().to_vec()).unwrap();
    for words in [
        "resumed: another instance took over on the same connection",
        "backtrace",
        "receive",
    ] {
        assert!(page.contains(words), "{page}");
    }
    assert!(
        !page.contains("hello") && !page.contains("x-fumehood-fault"),
        "{page}"
    );
}
