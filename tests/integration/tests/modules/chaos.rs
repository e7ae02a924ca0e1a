//! `fumehood chaos`, and each of its claims.

use fumehood_tests::fetch::{Fetch, Finished};
use serde_json::Value;

fn chaos(arguments: &[&str]) -> (Finished, Value) {
    let finished = Fetch::command("chaos").arg("--json").args(arguments).run();
    let json = serde_json::from_slice(finished.content()).unwrap();
    (finished, json)
}

/// What every run must show, whatever was asked for.
fn assert_claims(report: &Value, transfers: u64, poisoned: u64, swaps: usize, kills: usize) {
    assert_eq!(report["all_hold"], true, "{report:#}");
    let figures = |claim: &str| &report["claims"][claim]["figures"];
    assert_eq!(figures("baseline")["exact"], transfers);
    let clean = figures("unpoisoned");
    assert_eq!(clean["exact"], transfers - poisoned, "{clean}");
    assert_eq!(clean["transfers"], transfers - poisoned);
    assert_eq!(
        (&clean["hung"], &clean["failed"]),
        (&0.into(), &Value::Object(<_>::default()))
    );
    let bitten = figures("poisoned");
    assert_eq!(bitten["transfers"], poisoned, "{bitten}");
    assert_eq!(
        (&bitten["hung"], bitten["wrong"].as_array().unwrap().len()),
        (&0.into(), 0)
    );
    assert_eq!(
        figures("swaps")["made"].as_array().unwrap().len(),
        2 * swaps
    );
    assert_eq!(figures("deaths")["restarts"], kills);
    assert!(
        figures("deaths")["kills"]
            .as_array()
            .unwrap()
            .iter()
            .all(|kill| kill["replayed"] == true)
    );
    assert_eq!(figures("reports")["written"] != 0, poisoned > 0);
    assert!(figures("latency")["disturbed_p99_us"].as_u64().unwrap() > 0);
}

#[test]
fn a_small_one_holds() {
    let (_, report) = chaos(&[
        "--transfers",
        "120",
        "--connections",
        "12",
        "--poison",
        "4",
        "--seed",
        "7",
    ]);
    assert_claims(&report, 120, 30, 3, 1);
    assert!(
        report["claims"]["poisoned"]["figures"]["resumed"]
            .as_u64()
            .unwrap()
            > 0
    );
}

#[test]
fn the_whole_of_it_holds() {
    let (_, report) = chaos(&[]);
    assert_claims(&report, 1000, 100, 3, 1);
}

#[test]
fn every_response_poisoned_and_many_deaths() {
    let (_, report) = chaos(&[
        "--transfers",
        "150",
        "--connections",
        "10",
        "--poison",
        "1",
        "--swaps",
        "5",
        "--kills",
        "3",
        "--seed",
        "11",
    ]);
    assert_claims(&report, 150, 150, 5, 3);
}

#[test]
fn nothing_wrong_and_nothing_reported() {
    let (_, report) = chaos(&[
        "--transfers",
        "40",
        "--connections",
        "4",
        "--poison",
        "0",
        "--swaps",
        "0",
        "--kills",
        "0",
    ]);
    assert_claims(&report, 40, 0, 0, 0);
    assert_eq!(report["claims"]["unpoisoned"]["figures"]["retried"], 0);
}

#[test]
fn numbers_out_of_bounds_are_refused() {
    for bad in [
        ["--transfers", "0"],
        ["--transfers", "1000001"],
        ["--connections", "0"],
        ["--connections", "257"],
        ["--kills", "101"],
        ["--swaps", "x"],
        ["--seed", "-1"],
    ] {
        let finished = Fetch::command("chaos").args(bad).run();
        assert_eq!(finished.code(), 2, "{bad:?}");
    }
}
