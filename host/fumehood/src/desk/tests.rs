//! What an engine gone rogue may answer, and what comes of it.
#![allow(clippy::unwrap_used, reason = "a test")]

use fumehood_control::{ModuleHeader, fragments};

use super::*;

fn report(trail: usize) -> FaultReport {
    FaultReport {
        number: 1,
        header: ModuleHeader {
            name: "http1".into(),
            version: "1.0.0".into(),
            digest: [1; 32],
        },
        kind: "trap".into(),
        detail: "unreachable".into(),
        location: String::new(),
        backtrace: Vec::new(),
        trail: vec![
            fumehood_control::TrailStep {
                at_us: 1,
                what: "receive 4 bytes".into()
            };
            trail
        ],
        recording: Vec::new(),
        aftermath: fumehood_control::Aftermath::Failed,
        quarantined: false,
    }
}

fn say(desk: &Desk, number: u64, report: &FaultReport) -> Result<(), ChannelError> {
    let mut pieces = fragments(report).unwrap();
    let last = pieces.pop().unwrap();
    for bytes in pieces {
        desk.take(ToEmbedder::ReportFragment { number, bytes })?;
    }
    desk.take(ToEmbedder::Report {
        number,
        bytes: last,
    })
}

#[test]
fn reports_come_whole_and_within_bounds() {
    let (desk, mut news) = Desk::new();
    say(&desk, 1, &report(MAX_REPORT_STEPS)).unwrap();
    assert!(matches!(news.try_recv(), Ok(News::Fault(it)) if it.header.name == "http1"));
    assert!(say(&desk, 2, &report(MAX_REPORT_STEPS + 1)).is_err());
    let mut bytes = fragments(&report(0)).unwrap().concat();
    bytes.push(0);
    assert!(desk.take(ToEmbedder::Report { number: 3, bytes }).is_err());
}

#[test]
fn two_reports_do_not_mix() {
    let (desk, _news) = Desk::new();
    desk.take(ToEmbedder::ReportFragment {
        number: 1,
        bytes: vec![1],
    })
    .unwrap();
    assert!(
        desk.take(ToEmbedder::Report {
            number: 2,
            bytes: vec![1]
        })
        .is_err()
    );
}

#[test]
fn a_flood_of_reports_is_dropped_and_of_fragments_refused() {
    let (desk, mut news) = Desk::new();
    for number in 0..1000 {
        say(&desk, number, &report(0)).unwrap();
    }
    assert_eq!(
        std::iter::from_fn(|| news.try_recv().ok()).count(),
        MAX_WAITING
    );
    let fragment = || ToEmbedder::InventoryFragment {
        bytes: vec![0; 15 * 1024],
    };
    assert!((0..100).any(|_| desk.take(fragment()).is_err()));
}

#[test]
fn an_answer_to_no_question_is_a_lie_until_nobody_asks_any_more() {
    let (desk, mut news) = Desk::new();
    let swapped = |reason| ToEmbedder::Swapped {
        name: "http1".into(),
        from: [1; 32],
        to: [2; 32],
        took_us: 1,
        reason,
    };
    assert!(desk.take(swapped(SwapReason::Asked)).is_err());
    desk.take(swapped(SwapReason::Quarantine)).unwrap();
    assert!(matches!(news.try_recv(), Ok(News::Quarantined { to, .. }) if to == [2; 32]));
    desk.close();
    desk.take(swapped(SwapReason::Asked)).unwrap();
    assert!(
        desk.take(ToEmbedder::Journey {
            id: fumehood_control::ExchangeId(1),
            event: fumehood_control::JourneyEvent::Sent,
        })
        .is_err()
    );
}
