//! Configurations, hostile and clumsy ones first; the schema; the example.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};

use fumehood_policy::{Decision, FixedProxies, Mode, RequestUrl, ServedScheme, Terms, Transport};
use proptest::prelude::*;

use super::error::position;
use super::*;
use crate::OnChange;

/// Settings of a file with this content, and of these variables.
fn load_with(text: &str, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    let environment = Layer::of_environment(|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    })?;
    let layer = Layer::of_file(&path)?;
    Settings::of_layers(layer, &environment, &SettingsSource::default(), Some(&path))
}

fn load(text: &str) -> Result<Settings, SettingsError> {
    load_with(text, &[])
}

/// `LINE:COLUMN: MESSAGE` of a refusal.
fn refusal(text: &str) -> String {
    match load(text).unwrap_err() {
        SettingsError::Refused {
            line,
            column,
            message,
            ..
        } => format!("{line}:{column}: {message}"),
        other => panic!("{other}"),
    }
}

fn verdict(settings: &Settings, url: &str, method: &str, client: Option<&str>) -> String {
    let terms = Terms {
        method: Some(method.parse().unwrap()),
        client: client.map(|it| it.parse().unwrap()),
        ..Terms::default()
    };
    let target = RequestUrl::parse(url).unwrap().target;
    match settings.policy.decide(&target, &terms) {
        Decision::Allow(_) => "allow".to_owned(),
        Decision::Report(_) => "report".to_owned(),
        Decision::Ask(_) => "ask".to_owned(),
        Decision::Deny(denial) => denial.reason.name().to_owned(),
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_what_was_meant() {
    let mut wrong = Vec::new();
    for (text, place, parts) in [
        (
            "[polcy]\n",
            "1:2",
            &["unknown field `polcy`", "did you mean `policy`?"][..],
        ),
        (
            "[policy]\nmod = \"report\"\n",
            "2:1",
            &["did you mean `mode`?"],
        ),
        (
            "[policy]\nmode = \"enforc\"\n",
            "2:8",
            &["did you mean `enforce`?"],
        ),
        (
            "\n[[policy.deny]]\nhost = [\"a\"]\n",
            "3:1",
            &["did you mean `hosts`?"],
        ),
        (
            "[limits]\nzzzzzzzz = 1\n",
            "2:1",
            &["unknown field `zzzzzzzz`"],
        ),
        (
            "[limits]\nexchanges = \"many\"\n",
            "2:13",
            &["invalid type: string \"many\""],
        ),
        ("[limits]\nexchanges = 0\n", "2:13", &["at least 1"]),
        ("[limits]\nexchanges = -1\n", "2:13", &["invalid value"]),
        ("[timeouts]\nconnect = 0\n", "2:11", &["between 0.001"]),
        ("[timeouts]\nconnect = nan\n", "2:11", &["between 0.001"]),
        (
            "[tls]\nmin-version = \"1.1\"\n",
            "2:15",
            &["unknown variant `1.1`", "`1.2`"],
        ),
        (
            "[tls]\nmin-version = \"1.3\"\nmax-version = \"1.2\"\n",
            "2:15",
            &["newer than"],
        ),
        (
            "[http]\nuser-agent = \"a\\r\\nb: c\"\n",
            "2:14",
            &["visible ASCII"],
        ),
        (
            "[policy]\nprivate-hosts = [\"*\"]\n",
            "2:18",
            &["one by one"],
        ),
        (
            "[policy]\nprivate-hosts = [\"é*\", \"b\"]\n",
            "2:18",
            &["*.example.com"],
        ),
        (
            "[policy]\nallow = [{ hosts = [\"a..b\"] }]\n",
            "2:21",
            &["empty label"],
        ),
        (
            "[policy]\nallow = [{ hosts = \"a\" }]\n",
            "2:20",
            &["invalid type: string"],
        ),
        (
            "[[policy.deny]]\nports = [0]\n",
            "2:10",
            &["from 1 to 65535"],
        ),
        (
            "[[policy.deny]]\nports = [65536]\n",
            "2:10",
            &["from 1 to 65535"],
        ),
        (
            "[[policy.deny]]\nports = [\"9-8\"]\n",
            "2:10",
            &["lower one first"],
        ),
        (
            "[[policy.deny]]\nports = [true]\n",
            "2:10",
            &["boolean", "8000-8999"],
        ),
        (
            "[[policy.deny]]\nschemes = [\"http\", \"file\"]\n",
            "2:20",
            &["file is no module's"],
        ),
        (
            "[[policy.deny]]\nschemes = [\"go pher\"]\n",
            "2:12",
            &["a scheme begins with a-z"],
        ),
        (
            "[[policy.deny]]\nmethods = [\"GET /\"]\n",
            "2:12",
            &["token"],
        ),
        ("[[policy.deny]]\nclients = [\"A\"]\n", "2:12", &["a-z"]),
        (
            "[[policy.deny]]\nspaces = [\"lan\"]\n",
            "2:11",
            &["\"local\""],
        ),
        (
            "[policy]\nmode = \"report\"\nmode = \"report\"\n",
            "3:1",
            &["duplicate key"],
        ),
        ("[policy\n", "1:8", &[]),
        ("x\0y = 1\n", "1:2", &[]),
    ] {
        let said = refusal(text);
        let told = parts.iter().all(|part| said.contains(part));
        if !told || !said.starts_with(&format!("{place}: ")) {
            wrong.push(format!("{text:?}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn an_empty_list_never_lets_anything_through() {
    let none = load("policy.allow = []\n").unwrap();
    assert_eq!(
        verdict(&none, "https://example.com/", "GET", None),
        "not-allowed"
    );
    for key in ["hosts", "schemes", "ports", "methods", "clients", "spaces"] {
        let nobody = load(&format!("[[policy.allow]]\n{key} = []\n")).unwrap();
        let said = verdict(&nobody, "https://1.1.1.1/", "GET", None);
        assert_eq!(said, "not-allowed", "{key}");
        for table in ["deny", "ask"] {
            let said = refusal(&format!("[[policy.{table}]]\n{key} = []\n"));
            assert!(said.contains(&format!("leave {key} out")), "{said}");
        }
    }
}

#[test]
fn rules_name_schemes_that_modules_serve() {
    let gopher = ServedScheme::new("gopher", 70, Transport::Tcp).unwrap();
    let said = |settings: &Settings, url: &str| {
        let target = RequestUrl::parse_served(url, &[gopher]).unwrap().target;
        match settings.policy.decide(&target, &Terms::default()) {
            Decision::Allow(_) => "allow",
            Decision::Deny(denial) => denial.reason.name(),
            other => panic!("{other:?}"),
        }
    };
    let urls = [
        "http://1.1.1.1/",
        "https://1.1.1.1/",
        "gopher://1.1.1.1:8070/",
    ];
    for (rule, expected) in [
        // Both of the web are not all there are.
        (
            "allow = [{ schemes = [\"http\", \"https\"] }]",
            ["allow", "allow", "not-allowed"],
        ),
        (
            "allow = [{ schemes = [\"Gopher\", \"https\"] }]",
            ["not-allowed", "allow", "allow"],
        ),
        (
            "deny = [{ schemes = [\"gopher\"] }]",
            ["allow", "allow", "denied-by-rule"],
        ),
        ("allow = [{}]", ["allow", "allow", "allow"]),
    ] {
        let settings = load(&format!("[policy]\n{rule}\n")).unwrap();
        assert_eq!(urls.map(|url| said(&settings, url)), expected, "{rule}");
    }
}

#[test]
fn a_policy_does_what_is_written() {
    let settings = load(
        "[policy]\nprivate-hosts = [\"10.1.2.3:80\"]\n\
         [[policy.allow]]\nhosts = [\"example.com\", \"*.example.com\"]\nschemes = [\"https\"]\n\
         ports = [443, \"8000-8999\"]\nmethods = [\"GET\", \"head\"]\n\
         [[policy.allow]]\nclients = [\"builder\"]\n\
         [[policy.deny]]\nhosts = [\"ads.example.com\"]\n\
         [[policy.ask]]\nhosts = [\"ask.example.com\"]\n",
    )
    .unwrap();
    for (url, method, client, expected) in [
        ("https://example.com/", "GET", None, "allow"),
        ("https://a.b.example.com:8080/", "HEAD", None, "allow"),
        ("https://example.com/", "POST", None, "not-allowed"),
        ("https://example.com:9000/", "GET", None, "not-allowed"),
        ("http://example.com:443/", "GET", None, "not-allowed"),
        ("https://other.test/", "GET", None, "not-allowed"),
        ("https://1.1.1.1/", "POST", None, "not-allowed"),
        ("https://1.1.1.1/", "POST", Some("builder"), "allow"),
        (
            "https://ads.example.com/",
            "GET",
            Some("builder"),
            "denied-by-rule",
        ),
        ("https://ask.example.com/", "GET", None, "ask"),
        ("http://10.1.2.3/", "GET", None, "allow"),
        (
            "http://127.0.0.1/",
            "GET",
            Some("builder"),
            "loopback-address",
        ),
    ] {
        assert_eq!(
            verdict(&settings, url, method, client),
            expected,
            "{method} {url}"
        );
    }
}

#[test]
fn a_denial_names_the_line_of_its_rule() {
    let settings = load("# one\n\n[[policy.deny]]\nhosts = [\"a.example\"]\n").unwrap();
    let target = RequestUrl::parse("http://a.example/").unwrap().target;
    let Decision::Deny(denial) = settings.policy.check_target(&target) else {
        panic!("it is denied");
    };
    let said = denial.to_string();
    assert!(said.contains("config.toml:3"), "{said}");
}

#[test]
fn the_environment_goes_before_the_file_and_flags_add() {
    let text =
        "[policy]\nmode = \"report\"\nprivate-hosts = [\"a.test\"]\n[timeouts]\nconnect = 1.5\n";
    let variables = [
        ("FUMEHOOD_POLICY_MODE", "enforce"),
        ("FUMEHOOD_POLICY_PRIVATE_HOSTS", "b.test:80, [::1]"),
        ("FUMEHOOD_TLS_MIN_VERSION", "1.3"),
        ("FUMEHOOD_LIMITS_EXCHANGES", "7"),
        ("FUMEHOOD_HTTP_MAX_FIELDS", "16"),
        ("FUMEHOOD_DNS_CACHE_ENTRIES", "0"),
    ];
    let settings = load_with(text, &variables).unwrap();
    assert_eq!(settings.mode.value, Mode::Enforce);
    assert_eq!(
        settings.mode.origin,
        Origin::Environment("FUMEHOOD_POLICY_MODE")
    );
    assert_eq!(settings.connect_ms.value, 1500);
    assert_eq!(settings.connect_ms.origin, Origin::File { line: 5 });
    assert_eq!(settings.head_ms.origin, Origin::Default);
    assert_eq!(settings.max_exchanges.value, 7);
    let guests = settings.guest_preferences();
    assert_eq!((guests.http1.max_fields, guests.dns.cache_entries), (16, 0));
    let by_default = GuestPreferences::default();
    assert_eq!(guests.http1.max_head_bytes, by_default.http1.max_head_bytes);
    assert_eq!(guests.dns.max_ttl_s, by_default.dns.max_ttl_s);
    let hosts: Vec<_> = settings
        .private_hosts
        .iter()
        .map(|it| it.value.to_string())
        .collect();
    assert_eq!(hosts, ["a.test", "b.test:80", "[::1]"]);
    for (name, value, part) in [
        ("FUMEHOOD_POLICY_MODE", "maybe", "unknown variant"),
        ("FUMEHOOD_POLICY_MODE", "a\"\n[x]\ny=1", "unknown variant"),
        ("FUMEHOOD_LIMITS_EXCHANGES", "7\nx = 1", "not a number"),
        ("FUMEHOOD_LIMITS_EXCHANGES", "0", "at least 1"),
        ("FUMEHOOD_HTTP_MAX_HEAD_KIB", "3", "from 4 to 256"),
        ("FUMEHOOD_HTTP_MAX_HEAD_KIB", "257", "from 4 to 256"),
        ("FUMEHOOD_HTTP_MAX_FIELDS", "15", "from 16 to 256"),
        ("FUMEHOOD_DNS_CACHE_ENTRIES", "1601", "from 0 to 1600"),
        ("FUMEHOOD_DNS_MAX_TTL", "86401", "from 0 to 86400"),
        ("FUMEHOOD_POLICY_PRIVATE_HOSTS", "a,*", "one by one"),
    ] {
        match load_with("", &[("FUMEHOOD_TIMEOUTS_IDLE", "3"), (name, value)]) {
            Err(SettingsError::Environment {
                name: told,
                message,
            }) => {
                assert_eq!(told, name, "{message}");
                assert!(message.contains(part), "{message}");
            }
            other => panic!("{name}={value}: {other:?}"),
        }
    }
}

#[test]
fn which_modules_are_taken_is_said_by_layers_each_with_its_origin() {
    let (key, other) = ("ab".repeat(32), "cd".repeat(32));
    let text = format!("[modules]\nkeys = [\"{key}\"]\npins = [\"http1 {other}\"]\n");
    let modules = load(&text).unwrap().modules;
    assert_eq!(modules.keys.value, [key.parse().unwrap()]);
    assert_eq!(
        (modules.required.value, modules.required.origin),
        (true, Origin::Default)
    );
    assert_eq!(modules.pins.value[0].to_string(), format!("http1 {other}"));
    assert!(modules.trust().is_some() && modules.directory.value.is_none());
    assert!(Settings::defaults().modules.trust().is_none());
    let variables = [
        ("FUMEHOOD_MODULES_KEYS", other.as_str()),
        ("FUMEHOOD_MODULES_REQUIRED", "false"),
        ("FUMEHOOD_MODULES_ON_CHANGE", "swap"),
    ];
    let modules = load_with(&text, &variables).unwrap().modules;
    assert_eq!(modules.keys.value, [other.parse().unwrap()]);
    assert!(!modules.required.value && modules.on_change.value == OnChange::Swap);
    // A variable without a value does not have every module believed.
    let emptied = [("FUMEHOOD_MODULES_KEYS", ""), ("FUMEHOOD_MODULES_PINS", "")];
    let modules = load_with(&text, &emptied).unwrap().modules;
    assert_eq!(modules.keys.value, [key.parse().unwrap()]);
    assert!(modules.required.value && modules.pins.value.len() == 1);
    // A flag's key is for what it signed alone, whatever else is said.
    let source = SettingsSource {
        module_keys: vec![key.parse().unwrap()],
        ..SettingsSource::default()
    };
    let environment = Layer::of_environment(|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    });
    let modules = modules::build(&Layer::default(), &environment.unwrap(), &source).unwrap();
    assert_eq!(modules.keys.value, [key.parse().unwrap()]);
    assert_eq!(
        (modules.required.value, modules.required.origin),
        (true, Origin::Flag("--module-key"))
    );
    for (text, part) in [
        ("keys = [\"ab\"]", "2:9: a module key is"),
        ("pins = [\"http1\"]", "2:9: a pin is"),
        ("pins = [\"HTTP1 ab\"]", "2:9: a pin is"),
        ("required = true", "2:12: no signature is believed"),
        ("key = []", "did you mean `keys`?"),
    ] {
        let said = refusal(&format!("[modules]\n{text}\n"));
        assert!(said.contains(part), "{text}: {said}");
    }
    let many = vec![format!("\"{key}\""); 17].join(",");
    assert!(refusal(&format!("[modules]\nkeys = [{many}]\n")).contains("at most 16"));
}

#[test]
fn limits_of_connections_are_said_by_layers() {
    let text = "[limits]\nconnections = 9\nper-proxy = 8\nidle-connection-seconds = 2\n";
    let variables = [
        ("FUMEHOOD_LIMITS_PER_ORIGIN", "3"),
        ("FUMEHOOD_LIMITS_PER_PROXY", "7"),
    ];
    let settings = load_with(text, &variables).unwrap();
    let limits = settings.limits();
    assert_eq!((limits.max_connections, limits.max_per_origin), (9, 3));
    assert_eq!((limits.max_per_proxy, limits.idle_connection_ms), (7, 2000));
    assert_eq!(settings.max_connections.origin, Origin::File { line: 2 });
    let variable = Origin::Environment("FUMEHOOD_LIMITS_PER_PROXY");
    assert_eq!(settings.max_per_proxy.origin, variable);
    for key in [
        "connections",
        "per-origin",
        "per-proxy",
        "idle-connection-seconds",
    ] {
        let said = refusal(&format!("[limits]\n{key} = 0\n"));
        assert!(said.contains("at least 1"), "{key}: {said}");
    }
}

#[test]
fn without_a_file_public_addresses_and_nothing_else() {
    let settings = Settings::defaults();
    assert_eq!(settings.policy, Policy::default());
    assert_eq!(settings.limits(), Limits::default());
    assert_eq!(settings.deadlines(), default_deadlines());
    assert_eq!(settings.tls(), default_tls());
    assert!(
        Layer::of_file(Path::new("/no/such/config.toml"))
            .unwrap()
            .is_none()
    );
    assert!(Layer::of_file(Path::new("/dev/null")).is_err());
    let source = SettingsSource {
        file: Some(PathBuf::from("/no/such/config.toml")),
        ..SettingsSource::default()
    };
    assert!(
        Settings::load(&source)
            .unwrap_err()
            .to_string()
            .contains("no such file")
    );
}

#[test]
fn files_are_bounded() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("config.toml");
    let bytes = usize::try_from(MAX_SETTINGS_BYTES).unwrap() + 1;
    std::fs::write(&path, vec![b'\n'; bytes]).unwrap();
    let said = Layer::of_file(&path).unwrap_err().to_string();
    assert!(said.contains("over the bound"), "{said}");
    std::fs::write(&path, b"\xff").unwrap();
    assert!(Layer::of_file(&path).is_err());
    let hosts = |count: usize| {
        let hosts: Vec<String> = (0..count).map(|at| format!("\"h{at}\"")).collect();
        format!("[[policy.deny]]\nhosts = [{}]\n", hosts.join(","))
    };
    assert!(load(&hosts(10_000)).is_ok());
    let said = refusal(&hosts(fumehood_policy::MAX_RULES + 1));
    assert!(said.contains("wider patterns"), "{said}");
}

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(name)
}

/// `FUMEHOOD_BLESS=1 cargo test --release -p fumehood schema` writes it anew.
#[test]
fn the_committed_schema_is_that_of_the_types() {
    let schema = schemars::schema_for!(file::File);
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    let path = docs("config.schema.json");
    if std::env::var_os("FUMEHOOD_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == text,
        "{} is not what the types say; write it with FUMEHOOD_BLESS=1",
        path.display()
    );
}

#[test]
fn the_example_holds_as_it_stands_and_with_all_that_it_shows() {
    let text = std::fs::read_to_string(docs("config.toml")).unwrap();
    let settings = load(&text).unwrap();
    // As it stands it changes nothing.
    assert_eq!(settings.limits(), Limits::default());
    assert_eq!(settings.deadlines(), default_deadlines());
    assert_eq!(settings.tls(), default_tls());
    assert_eq!(
        verdict(&settings, "https://example.com/", "GET", None),
        "allow"
    );
    // What is commented out is `#key = …` or `#[table]`; prose has a space.
    let shown: Vec<&str> = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with([' ', ':']) => rest,
            _ => line,
        })
        .collect();
    let settings = load(&shown.join("\n")).unwrap();
    assert!(settings.policy.rules().len() > 5);
    let values = [
        &settings.connect_ms,
        &settings.head_ms,
        &settings.max_exchanges,
    ];
    assert!(values.iter().all(|it| it.origin != Origin::Default));
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,40}|(\\[\\[?[a-z.]{0,12}\\]?\\]\n)?[a-z\\-]{0,8} ?= ?[\\[\\]{}\"a-z0-9,.*\\-]{0,20}\n?") {
        let _ = load(&text);
        let _ = load_with("", &[("FUMEHOOD_POLICY_PRIVATE_HOSTS", &text), ("FUMEHOOD_TIMEOUTS_TLS", &text)]);
    }

    #[test]
    fn positions_are_those_of_the_text(text in "[aé\n]{0,20}", at in 0_usize..50) {
        let (line, column) = position(&text, at);
        let before: String = text[..text.floor_char_boundary(at)].to_owned();
        let lines: Vec<&str> = before.split('\n').collect();
        prop_assert_eq!(line as usize, lines.len());
        prop_assert_eq!(column as usize, lines.last().unwrap().chars().count() + 1);
    }
}

#[test]
fn the_way_out_is_said_whole_or_not_at_all() {
    for (text, place) in [
        ("[proxy]\nmode = \"sytem\"\n", "2:8: "),
        ("[proxy]\nurl = \"http://p.test\"\n", "2:7: "),
        ("[proxy]\nmode = \"fixed\"\n", "2:8: "),
        (
            "[proxy]\nmode = \"direct\"\nurl = \"http://p.test\"\n",
            "3:7: ",
        ),
        (
            "[proxy]\nmode = \"fixed\"\nurl = \"gopher://p.test\"\n",
            "3:7: ",
        ),
        ("[proxy]\nmode = \"pac\"\nurl = \"data:x\"\n", "3:7: "),
        (
            "[proxy]\nmode = \"system\"\nfallback = [\"direct\"]\n",
            "2:8: ",
        ),
        (
            "[proxy]\nmode = \"pac\"\nurl = \"/p\"\nbypass = [\"a.test\"]\n",
            "2:8: ",
        ),
        (
            "[proxy]\nmode = \"pac\"\nurl = \"/p\"\nfallback = [\"direct\", \"p:0\"]\n",
            "4:23: ",
        ),
        (
            "[proxy]\nmode = \"fixed\"\nurl = \"p.test\"\nbypass = [\"a b\"]\n",
            "4:11: ",
        ),
    ] {
        let said = refusal(text);
        assert!(said.starts_with(place), "{text}: {said}");
    }
    assert_eq!(load("").unwrap().proxies.value, None);
    let text =
        "[proxy]\nmode = \"fixed\"\nurl = \"http://a:b@p.test:1\"\nbypass = [\"*.q.test\"]\n";
    let settings = load(text).unwrap();
    let Some(ProxySettings::Fixed(fixed)) = settings.proxies.value else {
        panic!("it is fixed");
    };
    assert_eq!(settings.proxies.origin, Origin::File { line: 2 });
    assert!(!fixed.digest);
    assert!(
        fixed
            .credentials_for(&"http://p.test:1".parse().unwrap())
            .is_some()
    );
    let ways = |url: &str| fixed.routes(&RequestUrl::parse(url).unwrap().target);
    assert_eq!(ways("http://x.q.test/"), [fumehood_policy::Route::Direct]);
    assert_ne!(ways("https://x.test/"), [fumehood_policy::Route::Direct]);
    let proven = load_with(text, &[("FUMEHOOD_PROXY_AUTH", "digest")]).unwrap();
    assert!(matches!(
        proven.proxies.value,
        Some(ProxySettings::Fixed(FixedProxies { digest: true, .. }))
    ));
    assert!(load("[proxy]\nmode = \"direct\"\nauth = \"digest\"\n").is_err());
    assert!(load("[proxy]\nmode = \"fixed\"\nurl = \"p\"\nauth = \"ntlm\"\n").is_err());
    let many = format!(
        "[proxy]\nmode = \"wpad\"\nfallback = [{}]\n",
        "\"direct\", ".repeat(9)
    );
    assert!(refusal(&many).contains("at most 8 ways"));
    // A variable goes before the file, and a mode before all that goes with another.
    let direct = [("FUMEHOOD_PROXY_MODE", "direct")];
    let settings = load_with(text, &direct).unwrap();
    assert_eq!(settings.proxies.value, Some(ProxySettings::Direct));
    let without = load_with(text, &[("FUMEHOOD_PROXY_MODE", "pac")]);
    assert!(without.unwrap_err().to_string().contains("wants proxy.url"));
    let elsewhere = [("FUMEHOOD_PROXY_URL", "http://q.test:2")];
    let Some(ProxySettings::Fixed(fixed)) = load_with(text, &elsewhere).unwrap().proxies.value
    else {
        panic!("it is fixed");
    };
    assert_eq!(fixed.other, ["http://q.test:2".parse().unwrap()]);
    let variables = [
        ("FUMEHOOD_PROXY_MODE", "pac"),
        ("FUMEHOOD_PROXY_URL", "/x.pac"),
    ];
    let settings = load_with("[proxy]\nmode = \"direct\"\n", &variables).unwrap();
    assert!(matches!(
        settings.proxies.value,
        Some(ProxySettings::Pac { .. })
    ));
    assert_eq!(
        settings.proxies.origin,
        Origin::Environment("FUMEHOOD_PROXY_MODE")
    );
}
