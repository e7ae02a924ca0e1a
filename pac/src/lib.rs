//! Proxy auto-configuration: the evaluator of FindProxyForURL.
