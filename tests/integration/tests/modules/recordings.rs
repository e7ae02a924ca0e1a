//! A trap that was recorded happens again, in the version it was of, and not
//! in another.

use fumehood_tests::artifacts::component;
use fumehood_tests::hostile::{Gate, Script, Server};
use serde_json::Value;

use crate::support::{POISON, Setting, held};

#[test]
fn a_recorded_trap_happens_again_and_not_in_another_version() {
    let it = Setting::new();
    let gate = Gate::new();
    let server = Server::start(vec![held(&gate), Script::answer(POISON)]);
    let running = it
        .fetch(&[server.url("/1"), server.url("/2")])
        .arg("--record")
        .start();
    gate.wait_for(1);
    // Under the version that is built in too, so that its file is not needed.
    let version = it.ask(&["inspect", "http1"])[0]["version"].clone();
    let faulty = it.faulty(&format!("http1@{}.wasm", version.as_str().unwrap()));
    it.load_and_swap(&faulty);
    gate.open();
    assert_eq!(running.finish().code(), 0);

    let all = it.crashes(&["list", "--json"]);
    let all: Value = serde_json::from_slice(all.content()).unwrap();
    let page = it.crashes(&["show", all[0]["id"].as_str().unwrap()]);
    let page = String::from_utf8(page.content().to_vec()).unwrap();
    let trail = it
        .path("crashes")
        .join(all[0]["recording"].as_str().unwrap());
    let command = format!("fumehood modules replay {}", trail.display());
    assert!(page.contains(&command), "{page}");

    let first = it.replay(&trail, &["--json"]);
    let told: Value = serde_json::from_slice(first.content()).unwrap();
    assert_eq!(
        (&told["reproduced"], &told["end"]),
        (&true.into(), &"trap".into())
    );
    assert_eq!(told["detail"], all[0]["detail"]);
    assert_eq!(it.replay(&trail, &["--json"]).content(), first.content());
    let from_file = it.replay(&trail, &["--json", "--module", faulty.to_str().unwrap()]);
    assert_eq!(from_file.content(), first.content());

    let sound = component("http1");
    let other = it.replay(&trail, &["--json", "--module", sound.to_str().unwrap()]);
    assert_eq!(other.code(), 1, "{other:?}");
    let told: Value = serde_json::from_slice(&other.stdout).unwrap();
    assert_eq!(
        (&told["reproduced"], &told["end"]),
        (&false.into(), &"survived".into())
    );

    // Of a version that is nowhere here, it says what is missing.
    let text = std::fs::read_to_string(&trail).unwrap();
    let digest = all[0]["digest"].as_str().unwrap();
    let foreign = it.path("foreign.trail.json");
    std::fs::write(&foreign, text.replace(digest, &"00".repeat(32))).unwrap();
    let refused = it.replay(&foreign, &[]);
    assert_eq!(refused.code(), 114, "{refused:?}");
    assert!(refused.stderr.contains("--module"), "{refused:?}");
}
