//! The ports that a host answers on, as links to the host that the browser used.

use std::collections::BTreeSet;

use leptos::prelude::*;
use orrery_contracts::PublishedPort;

use crate::web::js;

#[component]
pub(crate) fn Ports(ports: Vec<PublishedPort>) -> impl IntoView {
    // A port is told once, though the host answers on it by both families of addresses.
    let shown: BTreeSet<(u16, String, bool)> =
        ports.iter().map(|port| (port.host_port, port.protocol.clone(), port.host_ip == "127.0.0.1" || port.host_ip == "::1")).collect();
    if shown.is_empty() {
        return view! { <span class="faint">"–"</span> }.into_any();
    }
    let host = js::host_name();
    let local = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]");
    shown
        .into_iter()
        .map(|(port, protocol, only_local)| {
            if protocol != "tcp" || (only_local && !local) {
                let why = if only_local { "on the host itself alone" } else { "not TCP" };
                return view! { <span class="mono" title=why>{port}"/"{protocol}</span>" " }.into_any();
            }
            let scheme = if port == 443 || port == 8443 { "https" } else { "http" };
            let href = format!("{scheme}://{host}:{port}/");
            view! { <a class="mono out" href=href target="_blank" rel="noreferrer">{port}<span aria-hidden="true">" ↗"</span></a>" " }
                .into_any()
        })
        .collect_view()
        .into_any()
}
