//! Generated bindings of the world `pac-evaluator`, and nothing else.
#![allow(missing_docs, reason = "generated; documented in wit/pac")]

wasmtime::component::bindgen!({
    world: "fumehood:pac/pac-evaluator",
    path: ["../../wit/guest", "../../wit/pac"],
    additional_derives: [PartialEq, Clone],
});
