//! Connections, names and scripts, as metrics.

use fumehood_control::{Activity, NameActivity, PoolActivity, ScriptActivity};

use super::{Page, seconds};

impl Page {
    pub(super) fn activity(&mut self, activity: &Activity) {
        self.pool(&activity.pool);
        self.names(&activity.names);
        self.scripts(&activity.scripts);
    }

    fn pool(&mut self, pool: &PoolActivity) {
        self.labelled(
            ("fumehood_pool_connections", "gauge", "state"),
            "Connections of exchanges and of clients' requests: kept for the next, or in use.",
            &[("idle", pool.idle), ("in-use", pool.in_use)],
        );
        self.single(
            "fumehood_pool_waiting",
            "gauge",
            "Exchanges and clients' requests that wait for their turn at an origin or a proxy.",
            pool.waiting,
        );
        self.single(
            "fumehood_pool_connections_made_total",
            "counter",
            "Connections made for exchanges and for clients' requests.",
            pool.made,
        );
        self.single(
            "fumehood_pool_connections_reused_total",
            "counter",
            "Idle connections that were taken for another request.",
            pool.reused,
        );
        let free = pool.places.saturating_sub(pool.places_taken);
        self.labelled(
            ("fumehood_connection_places", "gauge", "state"),
            "Places for connections that guests serve, those of a proxy's clients among them.",
            &[("taken", pool.places_taken), ("free", free)],
        );
        self.single(
            "fumehood_connection_places_waiting",
            "gauge",
            "Connections that wait for such a place.",
            pool.waiting_for_place,
        );
    }

    fn names(&mut self, names: &NameActivity) {
        self.labelled(
            ("fumehood_dns_questions_total", "counter", "outcome"),
            "Questions to the engine's own resolver, by what came of them.",
            &[
                ("server", names.from_servers),
                ("cache", names.from_cache),
                ("host-table", names.from_here),
                ("absent", names.absent),
                ("failed", names.failed),
            ],
        );
        self.single(
            "fumehood_dns_questions_under_way",
            "gauge",
            "Questions without an answer yet.",
            names.under_way,
        );
    }

    fn scripts(&mut self, scripts: &ScriptActivity) {
        self.single(
            "fumehood_pac_scripts",
            "gauge",
            "Proxy auto-configuration scripts that are held.",
            scripts.held,
        );
        self.labelled(
            ("fumehood_pac_loads_total", "counter", "outcome"),
            "Scripts that were loaded, and that could not be.",
            &[("ok", scripts.loaded), ("failed", scripts.not_loaded)],
        );
        self.labelled(
            ("fumehood_pac_calls_total", "counter", "outcome"),
            "Calls of scripts that told a way, and that did not.",
            &[("ok", scripts.calls), ("failed", scripts.failed_calls)],
        );
        let name = "fumehood_pac_call_seconds_total";
        self.metric(
            name,
            "counter",
            "Time of all calls, waiting for names among it.",
        );
        self.value(name, &[], seconds(scripts.calls_us));
        self.single(
            "fumehood_pac_questions_under_way",
            "gauge",
            "Loads and calls without an answer yet.",
            scripts.under_way,
        );
    }

    /// A metric with a value for each of some values of one label.
    fn labelled(
        &mut self,
        (name, kind, label): (&str, &str, &str),
        help: &str,
        values: &[(&str, u64)],
    ) {
        self.metric(name, kind, help);
        for (of, value) in values {
            self.value(name, &[(label, of)], value);
        }
    }
}
