//! Grants: uses, expiry, revocation and the bound.

use std::time::Duration;

use fumehood_control::{FirstHop, Grant, GrantId, ProxyLeave, StandingGrant};
use fumehood_policy::{Naming, Terms};
use tokio::time::Instant;

use super::world::{leave, target};
use crate::grants::{Grants, MAX_GRANTS};

fn grant(id: u64, uses: u32, lifetime_ms: u32) -> Grant {
    Grant {
        id: GrantId(id),
        target: target("http://example.com/"),
        proxy: None,
        terms: Terms::default(),
        uses,
        lifetime_ms,
    }
}

#[tokio::test(start_paused = true)]
async fn a_grant_has_as_many_uses_as_it_says() {
    let (mut grants, now) = (Grants::default(), Instant::now());
    grants.insert(grant(1, 2, 1000), now);
    assert_eq!(
        grants.take(GrantId(1), now),
        Some(leave("http://example.com/"))
    );
    assert!(grants.take(GrantId(1), now).is_some());
    assert_eq!(grants.take(GrantId(1), now), None);
    grants.insert(grant(2, 0, 1000), now);
    assert_eq!(grants.take(GrantId(2), now), None);
    assert_eq!(grants.take(GrantId(3), now), None);
}

#[tokio::test(start_paused = true)]
async fn a_grant_ends_with_its_time_or_its_revocation() {
    let (mut grants, now) = (Grants::default(), Instant::now());
    grants.insert(grant(1, 9, 1000), now);
    grants.insert(grant(2, 9, 1000), now);
    assert!(
        grants
            .take(GrantId(1), now + Duration::from_millis(999))
            .is_some()
    );
    assert_eq!(
        grants.take(GrantId(1), now + Duration::from_millis(1000)),
        None
    );
    grants.revoke(GrantId(2));
    assert_eq!(grants.take(GrantId(2), now), None);
}

#[tokio::test(start_paused = true)]
async fn grants_are_bounded_and_expired_ones_make_room() {
    let (mut grants, now) = (Grants::default(), Instant::now());
    for id in 0..MAX_GRANTS as u64 {
        grants.insert(grant(id, 1, 1000), now);
    }
    grants.insert(grant(1_000_000, 1, 1000), now);
    assert_eq!(grants.take(GrantId(1_000_000), now), None);
    let later = now + Duration::from_secs(2);
    grants.insert(grant(1_000_001, 1, 1000), later);
    assert!(grants.take(GrantId(1_000_001), later).is_some());
}

#[test]
fn a_client_is_led_to_named_proxies_and_where_scripts_may() {
    let mut grants = Grants::default();
    let id = GrantId(1);
    grants.stand(StandingGrant { id, client: None });
    let first = |server: &str, naming| FirstHop {
        server: server.parse().unwrap(),
        naming,
        unseen: true,
    };
    let leads = |grants: &Grants, first: FirstHop| {
        let leave = grants.take_for(id, target("http://a.test/"), None).unwrap();
        grants.lead_to(leave, first, Vec::new()).is_some()
    };
    let (named, other) = ("http://p.test:1", "http://p.test:2");
    assert!(!grants.may_lead());
    assert!(!leads(&grants, first(named, Naming::User)));
    assert!(!leads(&grants, first(named, Naming::Script)));
    let mut proxies = ProxyLeave {
        named: vec![named.parse().unwrap()],
        scripts: false,
    };
    grants.lead(proxies.clone());
    assert!(leads(&grants, first(named, Naming::User)));
    assert!(!leads(&grants, first(other, Naming::User)));
    assert!(!leads(&grants, first("https://p.test:1", Naming::User)));
    assert!(!leads(&grants, first(named, Naming::Script)));
    proxies.scripts = true;
    grants.lead(proxies.clone());
    assert!(leads(&grants, first(other, Naming::Script)));
    assert!(!leads(&grants, first(other, Naming::User)));
    // Too long a list gives leave for nothing.
    proxies.named = vec![named.parse().unwrap(); 33];
    grants.lead(proxies);
    assert!(!grants.may_lead());
}
