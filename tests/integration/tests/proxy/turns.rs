//! Places at a proxy upstream: who has one, and who has it next.

use fumehood_tests::hostile::{Gate, Script, Server};
use fumehood_tests::temp::TempDir;

use crate::identity::users;
use crate::proof::challenge;
use crate::shared::{ANN, BOB, METRICS, request, told, told_idle};
use crate::support::{HELLO, Proxy};
use crate::upstream::script;

/// Says who a client is.
const BEARER: &str = "authorization: Bearer x\r\n";

const WHO: &str = "HTTP/1.1 401 Who\r\nwww-authenticate: NTLM\r\ncontent-length: 5\r\n\r\nwho??";

/// One place at each proxy. Who waits for it is told so before a client that asks for
/// nothing would have given its connection away unasked, after 5 s.
const ONE_PLACE: &str = "[limits]\nper-proxy = 1\n[timeouts]\nconnect = 4\n";

/// The same, where tests decide when somebody goes on.
const ONE_PLACE_FOR_LONG: &str = "[limits]\nper-proxy = 1\n";

/// A proxy whose clients have one place at that server.
fn led(server: &Server, config: &str) -> Proxy {
    let folder = TempDir::new().unwrap();
    let file = folder.write("config.toml", config).unwrap();
    let upstream = format!("http://127.0.0.1:{}", server.port());
    let way = ["--upstream", &upstream, "--config", file.to_str().unwrap()];
    Proxy::strict(&[&way[..], &METRICS].concat())
}

fn get(path: &str, fields: &str) -> String {
    request("GET", &format!("http://a.test{path}"), fields)
}

/// What the server was asked for on each connection.
fn asked(server: &Server) -> Vec<Vec<String>> {
    let path = |target: &str| target.trim_start_matches("http://a.test").to_owned();
    let connections = server.requests();
    let paths = connections.iter().map(|it| it.iter());
    paths
        .map(|it| it.map(|request| path(&request.target)).collect())
        .collect()
}

#[test]
fn who_asks_for_nothing_makes_place_for_who_comes() {
    for fields in ["", BEARER] {
        let server = Server::start(vec![Script::answers(&[HELLO; 4]).then_stall()]);
        let proxy = led(&server, ONE_PLACE);
        let mut idle = proxy.connect();
        idle.say(get("/idle", fields));
        assert_eq!(idle.reply().unwrap().content, b"hello");
        // Its connection is another's, or closed where what it said might hold for that.
        assert_eq!(proxy.ask(get("/next", "")).status, 200, "{fields}");
        assert_eq!(server.connections(), 1 + usize::from(!fields.is_empty()));
        idle.say(get("/again", ""));
        assert_eq!(idle.reply().unwrap().content, b"hello");
    }
}

/// No more does it keep its place by the beginning of a request.
#[test]
fn who_begins_to_ask_makes_place_for_who_comes() {
    let server = Server::start(vec![Script::answers(&[HELLO; 4]).then_stall()]);
    let proxy = led(&server, ONE_PLACE);
    let mut stalls = proxy.connect();
    let again = get("/again", "");
    let (begun, rest) = again.split_at(1);
    // Sent along, so that it is there when the first is answered.
    stalls.say(get("/first", BEARER) + begun);
    assert_eq!(stalls.reply().unwrap().content, b"hello");
    assert_eq!(proxy.ask(get("/next", "")).status, 200);
    stalls.say(rest);
    assert_eq!(stalls.reply().unwrap().content, b"hello");
    assert_eq!(asked(&server)[0], ["/first"]);
}

/// A client whose connection nobody can follow on does not keep its place by going on.
#[test]
fn who_says_who_it_is_waits_like_all_others() {
    let gate = Gate::new();
    let held = Script::answer(HELLO).request().gate(&gate).send(HELLO);
    let server = Server::start(vec![
        held.then_stall(),
        Script::answers(&[HELLO; 4]).then_stall(),
    ]);
    let proxy = led(&server, ONE_PLACE_FOR_LONG);
    let (mut ann, mut bob) = (proxy.connect(), proxy.connect());
    ann.say(get("/ann-1", BEARER));
    assert_eq!(ann.reply().unwrap().content, b"hello");
    ann.say(get("/ann-2", BEARER));
    gate.wait_for(1);
    bob.say(get("/bob", ""));
    told(&proxy, "fumehood_pool_waiting 1");
    // She asks for more before she could have been heard of otherwise.
    ann.say(get("/ann-3", BEARER));
    gate.open();
    for _ in 0..2 {
        assert_eq!(ann.reply().unwrap().content, b"hello");
    }
    assert_eq!(bob.reply().unwrap().content, b"hello");
    let asked = asked(&server);
    assert_eq!(
        asked[..2],
        [vec!["/ann-1", "/ann-2"], vec!["/bob", "/ann-3"]]
    );
}

/// NTLM is spoken on one connection or not at all.
#[test]
fn who_is_proving_who_it_is_keeps_its_place() {
    let gate = Gate::new();
    let handshake = Script::new().request().gate(&gate).send(WHO);
    let handshake = handshake.request().send(WHO).request().send(HELLO);
    let server = Server::start(vec![
        handshake.then_stall(),
        Script::answers(&[HELLO; 4]).then_stall(),
    ]);
    let proxy = led(&server, ONE_PLACE_FOR_LONG);
    let (mut ann, mut bob) = (proxy.connect(), proxy.connect());
    ann.say(get("/ann", ""));
    gate.wait_for(1);
    bob.say(get("/bob", ""));
    told(&proxy, "fumehood_pool_waiting 1");
    gate.open();
    assert_eq!(ann.reply().unwrap().status, 401);
    for status in [401, 200] {
        ann.say(get("/ann", "authorization: NTLM x\r\n"));
        assert_eq!(ann.reply().unwrap().status, status);
    }
    assert_eq!(bob.reply().unwrap().content, b"hello");
    assert_eq!(asked(&server), [vec!["/ann"; 3], vec!["/bob"]]);
}

/// But not for ever: who never proves it waits like all others.
#[test]
fn who_never_proves_who_it_is_does_not_keep_its_place() {
    let gate = Gate::new();
    let unproven = (0..5).fold(Script::new(), |script, _| script.request().send(WHO));
    let server = Server::start(vec![
        unproven.request().gate(&gate).send(WHO).then_stall(),
        Script::answers(&[HELLO; 4]).then_stall(),
    ]);
    let proxy = led(&server, ONE_PLACE_FOR_LONG);
    let (mut ann, mut bob) = (proxy.connect(), proxy.connect());
    for _ in 0..5 {
        ann.say(get("/ann", BEARER));
        assert_eq!(ann.reply().unwrap().status, 401);
    }
    ann.say(get("/ann", BEARER));
    gate.wait_for(1);
    bob.say(get("/bob", ""));
    told(&proxy, "fumehood_pool_waiting 1");
    gate.open();
    assert_eq!(ann.reply().unwrap().status, 401);
    assert_eq!(bob.reply().unwrap().content, b"hello");
    assert_eq!(asked(&server), [vec!["/ann"; 6], vec!["/bob"]]);
}

/// A connection that had died while it was kept does not cost its request the place.
#[test]
fn what_is_sent_again_keeps_its_place() {
    let gate = Gate::new();
    let dies = Script::answer(HELLO).request().gate(&gate).then_reset();
    let server = Server::start(vec![dies, Script::answers(&[HELLO; 4]).then_stall()]);
    let proxy = led(&server, ONE_PLACE_FOR_LONG);
    assert_eq!(
        proxy.ask(get("/before", "connection: close\r\n")).content,
        b"hello"
    );
    told_idle(&proxy, 1);
    let (mut first, mut second) = (proxy.connect(), proxy.connect());
    first.say(get("/first", ""));
    gate.wait_for(1);
    second.say(get("/second", ""));
    told(&proxy, "fumehood_pool_waiting 1");
    gate.open();
    for client in [&mut first, &mut second] {
        assert_eq!(client.reply().unwrap().content, b"hello");
    }
    let asked = asked(&server);
    assert_eq!(asked, [["/before", "/first"], ["/first", "/second"]]);
}

/// What has to come to the target itself is led there, and proof of who asks is wanted on
/// the way.
#[test]
fn who_proves_who_it_is_on_the_way_keeps_its_place() {
    let gate = Gate::new();
    let stands = "HTTP/1.1 200 OK\r\n\r\n";
    let led = Script::answers(&[stands, HELLO, HELLO]);
    let server = Server::start(vec![
        Script::new()
            .request()
            .gate(&gate)
            .send(challenge("one", "")),
        led.then_stall(),
    ]);
    let upstream = format!("http://alice:secret@127.0.0.1:{}", server.port());
    let folder = TempDir::new().unwrap();
    let file = folder.write("config.toml", ONE_PLACE_FOR_LONG).unwrap();
    let file = file.to_str().unwrap();
    let way = ["--upstream", &upstream, "--proxy-digest", "--config", file];
    let proxy = Proxy::strict(&[&way[..], &METRICS].concat());
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\n";
    let (mut first, mut second) = (proxy.connect(), proxy.connect());
    first.say(get("/first", upgrade));
    gate.wait_for(1);
    second.say(get("/second", upgrade));
    told(&proxy, "fumehood_pool_waiting 1");
    gate.open();
    for client in [&mut first, &mut second] {
        assert_eq!(client.reply().unwrap().content, b"hello");
    }
    let next = &server.requests()[1];
    let proof = next[0].field("proxy-authorization").unwrap_or_default();
    assert!(proof.contains("nonce=\"one\""), "{next:?}");
}

/// Nobody waits for a proxy that the policy denies.
#[test]
fn the_next_way_is_gone_where_the_first_is_full_and_denied() {
    let gate = Gate::new();
    let full = Server::start(vec![Script::new().request().gate(&gate).send(HELLO)]);
    let other = Server::start(vec![Script::answers(&[HELLO; 2])]);
    let (denied, port) = (full.port(), other.port());
    let rules = format!(
        "{ONE_PLACE}[policy]\nprivate-hosts = [\"127.0.0.1\"]\n\
         deny = [{{ ports = [{denied}], clients = [\"bob\"] }}]\n"
    );
    let folder = TempDir::new().unwrap();
    let file = folder.write("config.toml", rules).unwrap();
    let users = users(&folder);
    let ways = format!("return 'PROXY 127.0.0.1:{denied}; PROXY 127.0.0.1:{port}';");
    let proxy = Proxy::strict(&[
        "--proxy-pac",
        &script(&ways),
        "--config",
        file.to_str().unwrap(),
        "--auth-file",
        users.to_str().unwrap(),
    ]);
    let (mut ann, mut bob) = (proxy.connect(), proxy.connect());
    ann.say(get("/ann", ANN));
    gate.wait_for(1);
    bob.say(get("/bob", BOB));
    assert_eq!(bob.reply().unwrap().content, b"hello");
    assert_eq!((full.connections(), other.connections()), (1, 1));
    gate.open();
    assert_eq!(ann.reply().unwrap().content, b"hello");
}

/// A client needs no more room for its tunnel than it has.
#[test]
fn a_tunnel_has_the_room_of_what_its_client_had() {
    let stands = "HTTP/1.1 200 OK\r\n\r\n";
    let server = Server::start(vec![
        Script::answer(HELLO).then_stall(),
        Script::new().request().send(stands).then_stall(),
    ]);
    // Sixteen that all share, and four rooms of two: for the client's connection, and
    // for the one through the proxy and its way there.
    let proxy = led(
        &server,
        "[limits]\ninstances = 24\n[timeouts]\nconnect = 4\n",
    );
    let mut client = proxy.connect();
    client.say(get("/", ""));
    assert_eq!(client.reply().unwrap().content, b"hello");
    client.say("CONNECT b.test:443 HTTP/1.1\r\nhost: x\r\n\r\n");
    assert_eq!(client.reply().unwrap().status, 200);
}
